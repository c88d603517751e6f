// A function that is called when a thread that asked for it ends. A thread_local with a destructor does that too, but
// glibc takes memory when it is first touched, and ends the process when there is none; this takes none.
#pragma once

#include <pthread.h>

namespace brim {

// Static: kRun tells one from another. Of the keys that a process has glibc keeps the first 32 within the thread's
// own block, and these are among them.
template <void (*kRun)()>
class ThreadExit {
 public:
  // kRun is called when this thread ends, unless it is the first one. O(1), allocates nothing.
  static void Arm() {
    pthread_once(&once_, [] { pthread_key_create(&key_, [](void*) { kRun(); }); });
    pthread_setspecific(key_, &key_);
  }

 private:
  static inline pthread_once_t once_ = PTHREAD_ONCE_INIT;
  static inline pthread_key_t key_ = 0;
};

}  // namespace brim
