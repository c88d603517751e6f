#pragma once
// The first line of an increment that was begun before the one before it was on the disk:
//
//   #PREV:00000000000000012345 open     the one before has that many bytes, and is not synced yet
//   #PREV:00000000000000012345 done     it is synced
//
// What the power's failure leaves is a prefix: behind an increment that is shorter than an open mark says nothing
// counts. To others it is a comment.
#include <cstdint>
#include <string>

namespace brim {

struct AofMark {
  static constexpr size_t kBytes = 33;
  bool there = false;
  bool open = false;
  bool damaged = false;  // what is there is a part of a mark, or zeros: the power's failure has taken the rest
  uint64_t size = 0;     // of the increment before

  std::string Text() const;
};

// The mark at the beginning of that file, if there is one.
AofMark ReadAofMark(const std::string& path);
// An increment that was begun and has no record: there is nothing in it, or a mark, or what was left of one.
bool IsEmptyIncrement(const std::string& path);
// Changes an open mark to done; it is as durable as the file's next sync makes it.
bool CloseAofMark(const std::string& path);

}  // namespace brim
