#pragma once
// The options by which XADD and XTRIM limit a stream.
#include <string>
#include <string_view>
#include <vector>

#include "commands/streams.h"

namespace brim {

struct StreamTrimOptions {
  StreamTrim trim;
  References references = References::kKeep;
  size_t threshold_arg = 0;  // of MAXLEN or MINID
  // XADD's own
  bool no_stream = false;  // NOMKSTREAM
  size_t idmp_arg = 0;     // of IDMP or IDMPAUTO; 0: neither
  bool auto_iid = false;   // IDMPAUTO
  size_t id_arg = 0;       // 0: none was found
  bool id_given = false;
  bool seq_given = false;
  StreamId id;
};

// Reads options from argument 2 on; for XADD up to the id. False with the error replied.
bool ParseTrimOptions(Context& context, bool adding, StreamTrimOptions* options);
// Trims and tells events. How the arguments have to read so that the same entries go wherever they are replayed is left
// in *words, which hold the command's own, where that differs; returns how many went.
size_t TrimAndDescribe(Context& context, Stream& stream, const StreamTrimOptions& options,
                       std::vector<std::string_view>* words, std::string* threshold);

}  // namespace brim
