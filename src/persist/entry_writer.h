#pragma once
// What writes entries into a string, in one format or another, a step at a time: a big value can be written in parts,
// with other work between them. No locks of its own: the caller holds those of what it writes.
#include <cstdint>
#include <string>
#include <utility>

#include "store/keyspace.h"
#include "types/list.h"
#include "types/stream_id.h"
#include "types/string.h"

namespace brim {

// How far a value has been written. The value may not change between the steps, nor may its blocks move.
struct WritePlace {
  int stage = 0;        // 0: nothing is written; what the others mean is the writer's
  uint64_t cursor = 0;  // of a table's scan; a rank; a number of elements
  ListPlace list;
  StreamId id;
  uint32_t group = 0;
  uint32_t consumer = 0;
  int64_t time_ms = 0;
  size_t left = 0;  // elements that no command has been begun for
  size_t room = 0;  // elements that the last command still takes
  size_t negative_zeros = 0;
  // The text of this belongs behind what is written so far. No reference of its own; the caller takes it away.
  Blob* blob = nullptr;
};

class EntryWriter {
 public:
  // About as much as a step of a collection writes: a segment of a table, or as many elements or bytes.
  static constexpr size_t kElementsAStep = 128;
  static constexpr size_t kBytesAStep = 16 << 10;

  virtual ~EntryWriter() = default;
  // What follows belongs to that database.
  virtual void SelectDb(int db) = 0;
  // The next step of a key with its value and its expiry; `place` is new before the first. True: it is whole. An
  // element is never divided. O(elements of a step).
  virtual bool KeyStep(const KeyRef& ref, WritePlace* place) = 0;
  // All of it. O(value).
  void Key(const KeyRef& ref) {
    WritePlace place;
    while (!KeyStep(ref, &place)) {
    }
  }
  // Somebody waits for the next keys to be written: time before size.
  void SetHurry(bool hurry) { hurry_ = hurry; }
  // Texts that live in a blob are not written: WritePlace::blob says which belongs where.
  void LeaveBlobs() { leaves_blobs_ = true; }

  const std::string& bytes() const { return out_; }
  // What was written so far. The writer is empty then, and goes on in `next`, whose content is dropped.
  std::string TakeBytes(std::string next = {}) {
    next.clear();
    return std::exchange(out_, std::move(next));
  }

 protected:
  std::string out_;
  bool hurry_ = false;
  bool leaves_blobs_ = false;
};

}  // namespace brim
