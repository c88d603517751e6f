#pragma once
// The manifest of a multi-part AOF: a text file, one line a file of the AOF, that says in which order they are loaded.
//
//   file appendonly.aof.2.base.rdb seq 2 type b     the base: a snapshot, at most one; loaded first
//   file appendonly.aof.1.incr.aof seq 1 type h     history: replaced by the base, to be deleted
//   file appendonly.aof.2.incr.aof seq 2 type i     increments in ascending order; the last one is written to
//
// A rewrite: NextIncrement and the manifest is written, the snapshot is made, then NextBase, RetireIncrements and the
// manifest is written again; what is in the history can then be deleted. No locks, no files: text to lists and back.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

struct AofFile {
  std::string name;  // without a folder
  int64_t seq = 0;
  bool operator==(const AofFile&) const = default;
};

class AofManifest {
 public:
  // `prefix` is the setting appendfilename.
  static std::string FileName(std::string_view prefix) { return std::string(prefix) + ".manifest"; }

  // Reads a manifest into *out. False: *error has redis-server's lines for it ("Reading the manifest file, at line 2",
  // the line, what is wrong), parted by \n; *out is as it was.
  static bool Parse(std::string_view text, AofManifest* out, std::string* error);
  // What Parse reads: the base, the history, the increments.
  std::string Text() const;

  // Makes the name of a new base (a snapshot or, when not `rdb`, commands) and puts it in the place of the old one,
  // which becomes history.
  const AofFile& NextBase(std::string_view prefix, bool rdb);
  // Makes the name of a new increment and appends it.
  const AofFile& NextIncrement(std::string_view prefix);
  // The increments become history: all but the last, or also that one when nothing is being appended.
  void RetireIncrements(bool keep_last);

  std::optional<AofFile> base;
  std::vector<AofFile> increments;
  std::vector<AofFile> history;  // the latest first

 private:
  bool ReadLine(std::string_view line, const char** what);
  bool Place(AofFile file, char type, const char** what);

  int64_t increment_seq_ = 0;  // of the last one made or read; outlives its file
};

}  // namespace brim
