#pragma once
// A turn of the loop within a command: while a script takes long, its own thread (from the interpreter's hook) and
// threads that cannot go on without it answer their clients. Every command gets BUSY, but for the few that are allowed
// then (kAllowBusy); nothing takes a shard's lock. docs/scripts.md.

namespace brim {

class Worker;

// At a point where no command is half done with a shard. Does not wait; nothing when such a turn runs already.
void AnswerWhileBusy(Worker& worker);

}  // namespace brim
