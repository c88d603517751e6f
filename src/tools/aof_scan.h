#pragma once
// Reads one AOF file command by command and finds how far it is whole: up to the end of the last complete command that
// stands in no open MULTI.
#include <cstdint>
#include <string>

namespace brim {

enum class AofEnd : uint8_t {
  kWhole,
  kBroken,           // what follows good_bytes is to be cut off
  kPastTimestamp,    // what follows good_bytes is later than the time asked for
  kBadTimestamp,     // an annotation that cannot be read
  kBeforeTimestamp,  // the file begins later than the time asked for
  kUnreadable,       // reading failed
};

struct AofScan {
  AofEnd end = AofEnd::kWhole;
  int64_t good_bytes = 0;
  int64_t line = 1;   // as redis-check-aof counts: lines of the protocol until the error
  std::string error;  // where and what; empty when the file just ends in a command
};

// Scans from the offset `from` on. `name` is for the error texts. With to_timestamp (seconds, 0: none) it ends at the
// first annotation #TS: that is later.
AofScan ScanAof(int fd, const std::string& name, int64_t from, int64_t to_timestamp);

}  // namespace brim
