#pragma once
// maxmemory-clients: clients whose buffers take too much are closed, the biggest first, so that they never cost
// anybody's data. docs/pressure.md.
#include <cstddef>
#include <cstdint>

namespace brim {

class Connection;
class Worker;

// At the end of a turn, and when one connection's buffers have grown: closes this worker's clients until all clients'
// buffers fit into MemoryGuard::ClientRoom(). Returns the bytes freed. A few instructions when they fit. `before_keys`:
// as the last rung before eviction, of those who hold things up until MemoryGuard::ClientRoom(true) is kept; where none
// of them is this worker's, the others are asked to look.
size_t KeepClientsInBounds(Worker& worker, bool before_keys = false);
// Whether they have been asked a moment ago and one has not looked yet: keys can wait for what it finds. Any thread.
bool OthersAreAsked();
// A connection has come to hold so many bytes of a request that is not whole: KeepClientsInBounds for each megabyte of
// them, since a turn may read much more.
void NoteInput(Worker& worker, size_t bytes);
// Whether a reply in the making that takes so much may take more (OutputBuffer::may_grow): not more than all clients
// may. Any thread.
bool ReplyMayGrow(size_t bytes);
// In a command that goes on taking memory for its connection: closes it when all clients' memory is over that bound.
bool CutWhenOver(Connection& connection);

}  // namespace brim
