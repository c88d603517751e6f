// The RDB reader on arbitrary bytes: the first is the type of an object, the rest its content. What it accepts is
// written again, and what was written is read as the same. A type that no file has stands for Valkey's 22.
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "persist/rdb_input.h"
#include "persist/rdb_reader.h"
#include "persist/rdb_writer.h"

using brim::Heap;
using brim::LoadedValue;
using brim::MemoryInput;
using brim::RdbReader;
using brim::RdbWriter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  static Heap heap;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  MemoryInput input(bytes);
  RdbReader reader(input);
  LoadedValue loaded;
  uint8_t type = data[0];
  if (type == brim::rdb::kHashTriples) {
    reader.SetVersion(brim::rdb::kValkeyVersion);
    type = brim::rdb::kHashMetadataPreGa;
  }
  if (!reader.Object(type, &heap, &loaded)) {
    if (reader.error().empty()) abort();
    return 0;
  }
  if (loaded.value == nullptr || loaded.empty) return 0;
  RdbWriter writer(true);
  writer.Object(*loaded.value);
  MemoryInput written(std::string_view(writer.bytes()).substr(1));
  RdbReader again(written);
  LoadedValue same;
  if (!again.Object(static_cast<uint8_t>(writer.bytes()[0]), &heap, &same)) abort();
  if (same.type != loaded.type || brim::ValueLength(*same.value) != brim::ValueLength(*loaded.value)) abort();
  return 0;
}
