#include "persist/dump_footer.h"

#include <cstring>

#include "persist/crc64.h"
#include "persist/rdb_format.h"

namespace brim {

bool DumpFooterIsGood(std::string_view payload, uint16_t* version) {
  if (payload.size() < kDumpFooterBytes) return false;
  uint64_t checksum;
  memcpy(version, payload.data() + payload.size() - kDumpFooterBytes, sizeof *version);
  memcpy(&checksum, payload.data() + payload.size() - sizeof checksum, sizeof checksum);
  if (*version > rdb::kMaxVersion && *version != rdb::kValkeyVersion) return false;
  return checksum == 0 || checksum == Crc64(0, payload.data(), payload.size() - sizeof checksum);
}

}  // namespace brim
