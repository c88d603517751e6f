#pragma once
// What writes entries into a string, in one format or another. No locks of its own: the caller holds those of what it
// writes.
#include <string>
#include <utility>

#include "store/keyspace.h"

namespace brim {

class EntryWriter {
 public:
  virtual ~EntryWriter() = default;
  // What follows belongs to that database.
  virtual void SelectDb(int db) = 0;
  // A key with its value and its expiry. Stops at nothing: O(value).
  virtual void Key(const KeyRef& ref) = 0;
  // Somebody waits for the next keys to be written: time before size.
  void SetHurry(bool hurry) { hurry_ = hurry; }

  const std::string& bytes() const { return out_; }
  // What was written so far. The writer is empty then, and goes on in `next`, whose content is dropped.
  std::string TakeBytes(std::string next = {}) {
    next.clear();
    return std::exchange(out_, std::move(next));
  }

 protected:
  std::string out_;
  bool hurry_ = false;
};

}  // namespace brim
