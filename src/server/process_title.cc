#include "server/process_title.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "server/config.h"

namespace brim {

namespace {

// The bytes from the first argument to the end of the environment, as the system laid them out.
struct TitleArea {
  std::string program;
  char* begin = nullptr;
  char* arguments_end = nullptr;  // the last argument's zero
  char* end = nullptr;
};
TitleArea area;

std::string ListenAddress(const Config& config) {
  int port = config.port != 0 ? config.port : config.tls_port;
  if (port == 0) return config.unixsocket;
  return (config.bind.empty() ? "*" : config.bind[0]) + ":" + std::to_string(port);
}

bool FindVariable(const std::string& name, const Config& config, const std::string& config_file, std::string* value) {
  const std::pair<const char*, std::string> known[] = {{"title", area.program},
                                                       {"listen-addr", ListenAddress(config)},
                                                       {"server-mode", ""},  // a cluster's node or a Sentinel
                                                       {"config-file", config_file},
                                                       {"port", std::to_string(config.port)},
                                                       {"tls-port", std::to_string(config.tls_port)},
                                                       {"unixsocket", config.unixsocket}};
  const auto* found =
      std::find_if(std::begin(known), std::end(known), [&name](const auto& each) { return name == each.first; });
  if (found == std::end(known)) return false;
  *value = found->second;
  return true;
}

}  // namespace

bool ExpandTitle(const std::string& pattern, const Config& config, const std::string& config_file, std::string* title) {
  std::string text;
  for (size_t at = 0; at < pattern.size();) {
    size_t open = std::min(pattern.find('{', at), pattern.size());
    text.append(pattern, at, open - at);
    if (open == pattern.size()) break;
    if (pattern.compare(open, 2, "{{") == 0) {
      text += '{';
      at = open + 2;
      continue;
    }
    size_t close = pattern.find('}', open);
    std::string value;
    if (close == std::string::npos) return false;
    if (!FindVariable(pattern.substr(open + 1, close - open - 1), config, config_file, &value)) return false;
    text += value;
    at = close + 1;
  }
  size_t first = text.find_first_not_of(' ');
  *title = first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
  return true;
}

void ReserveTitle(int argc, char** argv) {
  if (argc == 0) return;
  area.program = argv[0];
  area.begin = area.end = argv[0];
  auto take = [](const char* text) {
    if (text == area.end) area.end += strlen(text) + 1;
  };
  for (int i = 0; i < argc; i++) take(argv[i]);
  area.arguments_end = area.end - 1;
  for (char** each = environ; *each != nullptr; each++) {
    take(*each);
    *each = strdup(*each);
  }
}

void ShowTitle(const Config& config, const std::string& config_file) {
  std::string title;
  auto room = static_cast<size_t>(area.end - area.begin);
  if (!config.set_proc_title || room < 2) return;
  if (!ExpandTitle(config.proc_title_template, config, config_file, &title)) return;
  title.resize(std::min(title.size(), room - 2));
  memset(area.begin, 0, room);
  memcpy(area.begin, title.data(), title.size());
  // Where the arguments' last zero is gone, the system shows what is there up to the first one.
  char* past = area.begin + title.size();
  if (past < area.arguments_end) {
    *area.arguments_end = '.';
  } else if (past == area.arguments_end) {
    *past = ' ';
  }
}

}  // namespace brim
