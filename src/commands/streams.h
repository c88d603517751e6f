#pragma once
// What the stream commands share: ids from arguments, entries as replies, looking up a stream and its group.
#include <string_view>
#include <vector>

#include "command/context.h"
#include "types/stream.h"
#include "types/stream_groups.h"

namespace brim {

namespace errors {
inline constexpr std::string_view kInvalidStreamId = "ERR Invalid stream ID specified as stream command argument";
}

// ---- arguments; false with the error replied
// An id; "-" and "+" are none.
bool ParseIdArg(Context& context, size_t arg, StreamId* id, uint64_t missing_seq = 0);
// The ids of all arguments from `first` on.
bool ParseIdArgs(Context& context, size_t first, std::vector<StreamId>* ids);
// A range's lower and upper end, which may be "-" or "+", or "(" and an id that is not in it.
bool ParseRangeStart(Context& context, size_t arg, StreamId* id);
bool ParseRangeEnd(Context& context, size_t arg, StreamId* id);
// "[KEEPREF | DELREF | ACKED] IDS numids id ..." from argument `at` on.
enum class References : uint8_t {
  kKeep,    // entries that go stay pending where they are
  kRemove,  // they go from every group as well
  kAcked,   // an entry stays as long as a group has not read it or has it pending
};
bool ParseReferences(const Context& context, size_t arg, References* references);
bool ParseNumberedIds(Context& context, size_t at, References* references, std::vector<StreamId>* ids);

// ---- replies
void ReplyId(Reply& reply, StreamId id);
// [id, [field, value ...]]
void ReplyEntry(Reply& reply, const StreamEntry& entry);
// The two parts alone, where more is in the array.
void ReplyEntryParts(Reply& reply, const StreamEntry& entry);
// About how many bytes so many entries from that id on take in a reply, by what the first of them take; 0: few.
// O(log n).
size_t EntriesReplyBytes(const Stream& stream, StreamId from, size_t entries);
// NOGROUP, in the words of XPENDING and XCLAIM, followed by `more`; and in those of XGROUP and XINFO, whose key is
// argument 2 and group argument 3. Names are shown up to a zero byte.
void ReplyNoKeyOrGroup(Reply& reply, std::string_view key, std::string_view group, std::string_view more = {});
void ReplyNoSuchGroup(Context& context);
// "unknown subcommand or wrong number of arguments", for a container's handlers.
void ReplySubcommandSyntax(Context& context);

// ---- looking up
// Null when the key is absent or (with WRONGTYPE replied and *wrong_type set) of another type.
Stream* LookupStream(Context& context, std::string_view key, LookupKind kind, bool* wrong_type);
// The stream's group; null with NOGROUP, in the words of XPENDING and XCLAIM, or WRONGTYPE replied.
StreamGroup* LookupGroup(Context& context, std::string_view key, std::string_view name, Stream** stream);
// The consumer, which is made (and its making noted and counted) when there is none; seen now.
StreamConsumer* ConsumerOrNew(Context& context, std::string_view key, Stream& stream, StreamGroup& group,
                              std::string_view name);

// ---- effects
// XCLAIM that does again what was done to a pending entry.
void TellClaim(Context& context, std::string_view key, const StreamGroup& group, StreamId id, const StreamNack& nack);
// XGROUP SETID with where the group is now.
void TellGroupId(Context& context, std::string_view key, const StreamGroup& group);

// ---- removing entries with regard to groups (streams_references.cc)
// As TrimStream; *boundary is the first id that was not considered.
size_t TrimWithReferences(Stream& stream, const StreamTrim& trim, References references, StreamId* boundary);
// XDEL of one entry: keeps max_deleted_id. False when it is not there.
bool DeleteEntry(Stream& stream, StreamId id);

}  // namespace brim
