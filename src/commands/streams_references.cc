// Removing entries with regard to the groups that have them pending, or have not read them yet.
#include "commands/streams.h"

namespace brim {

namespace {

// The id from which on a trim keeps entries: what is before it would go without regard to groups.
StreamId TrimBoundary(const Stream& stream, const StreamTrim& trim) {
  size_t length = stream.length;
  size_t gone = 0;
  for (IdTree::Cursor node = stream.nodes.First(); node; node.Next()) {
    if (trim.by == StreamTrim::kLength && length <= trim.length) return node.id();
    const uint8_t* lp = StreamNodeAt(node.payload());
    auto live = static_cast<size_t>(stream_node::LiveEntries(lp));
    if (trim.limit != 0 && gone + live > static_cast<size_t>(trim.limit)) return node.id();
    stream_node::Walker walker(lp, node.id());
    StreamEntry entry;
    walker.GoToEnd();
    bool whole = trim.by == StreamTrim::kLength ? length - live >= trim.length
                                                : !walker.Previous(&entry) || entry.id < trim.min_id;
    if (!whole) {
      if (trim.approximate) return node.id();
      if (trim.by == StreamTrim::kId) return trim.min_id;
      // The first that stays, by count.
      StreamRange range(stream, node.id(), StreamId::Max());
      for (size_t skip = length - trim.length + 1; skip > 0; skip--) range.Next(&entry);
      return entry.id;
    }
    length -= live;
    gone += live;
  }
  return StreamId::Max();
}

}  // namespace

bool DeleteEntry(Stream& stream, StreamId id) {
  if (!StreamErase(stream, id)) return false;
  if (id > stream.max_deleted_id) stream.max_deleted_id = id;
  return true;
}

size_t TrimWithReferences(Stream& stream, const StreamTrim& trim, References references, StreamId* boundary) {
  *boundary = TrimBoundary(stream, trim);
  StreamId last = *boundary;
  // The highest id of all is no end of anything: then nothing is kept.
  if (last != StreamId::Max() && !last.Decrement()) return 0;
  std::vector<StreamId> ids;
  StreamEntry entry;
  StreamRange range(stream, StreamId(), last);
  while (range.Next(&entry)) {
    if (references == References::kAcked && IsReferenced(stream, entry.id)) continue;
    ids.push_back(entry.id);
  }
  for (StreamId id : ids) {
    if (references == References::kRemove) RemoveReferences(stream, id);
    // What goes from the front is trimmed; a gap behind an entry that stays is a deletion.
    if (id == stream.first_id) {
      StreamErase(stream, id);
    } else {
      DeleteEntry(stream, id);
    }
  }
  return ids.size();
}

}  // namespace brim
