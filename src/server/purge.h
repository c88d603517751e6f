#pragma once
// Giving free memory back to the system.
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>

namespace brim {

// Everything at once (MEMORY PURGE, DEBUG QUICKLIST-FORCE-FREE): what is condemned is freed, then the free pages of
// every heap and of the general allocator go. Returns the bytes the heaps gave. Every thread paused.
size_t PurgeEverything();

// A thread that purges the general allocator when asked to: some milliseconds for tens of megabytes, which no turn of a
// worker has. Unasked it looks once a second for pages that have been free for a while: a server at rest is as small as
// what it holds. Started once; ended with the process.
class Purger {
 public:
  void Start();
  void Stop();
  // Soon, when it was not asked in the last milliseconds. Any thread; does not wait.
  void Ask();

 private:
  void Run();
  std::mutex mutex_;
  std::condition_variable wake_;
  bool asked_ = false;
  bool stop_ = false;
  std::thread thread_;
};
inline Purger purger;

// Under pressure, at once: the free pages of every heap, and the general allocator's when it was not asked in the last
// milliseconds. Returns the bytes by which resident memory fell. Takes the shards' locks in turn.
size_t GiveBackFreePages();
// What clients held was freed: GiveBackFreePages has something to give when it is due again. Any thread.
void NoteClientsFreed();
// Whether some of it is on its way: another thread gives pages back, or it is too early to do it again.
bool IsGivingBack();
// The same of what clients held: how much it is does not matter, the next purge brings it.
bool IsGivingBackClients();

}  // namespace brim
