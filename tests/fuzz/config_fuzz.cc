// The configuration reader: any text is loaded or refused with a message; what CONFIG GET then shows can be set again.
#include <cstdlib>
#include <string>

#include "server/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  std::string text(reinterpret_cast<const char*>(bytes), size);
  // Files and directories of the machine are not the fuzzer's business.
  for (const char* word : {"include", "INCLUDE", "dir", "DIR", "Dir"}) {
    if (text.find(word) != std::string::npos) return 0;
  }
  brim::ConfigStore store;
  std::string message;
  bool loaded = store.LoadText(text, &message);
  if (loaded == !message.empty()) abort();
  if (!loaded) return 0;
  for (const auto& [name, value] : store.Get({"*"})) {
    if (name == "dir") continue;
    std::string error;
    brim::ConfigStore fresh;
    bool set = fresh.Set({{name, value}}, &error);
    if (!set && error.find("can't set") == std::string::npos) abort();
  }
  return 0;
}
