#pragma once
// Who is subscribed to which channels and patterns, and publishing to them. docs/pubsub.md.
//
// A channel is one object for all workers. It says how many subscribers each worker has, which a publisher reads under
// the lock of the channel's stripe; who they are is each worker's own business and needs no lock. A publisher posts one
// message to each worker that has subscribers.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

class Connection;

enum class ChannelKind : uint8_t { kChannel, kPattern, kShard };
constexpr int kChannelKinds = 3;

class Channel;

// The channels one connection is subscribed to, and where it stands in their lists. Its worker's thread.
class Subscriptions {
 public:
  Subscriptions() = default;
  Subscriptions(const Subscriptions&) = delete;
  Subscriptions& operator=(const Subscriptions&) = delete;
  ~Subscriptions();

  size_t count(ChannelKind kind) const { return counts_[static_cast<int>(kind)]; }
  size_t total() const { return used_; }
  size_t memory_bytes() const { return memory_bytes_; }

  bool Has(const Channel* channel) const { return channel != nullptr && *Find(channel) != Slot(); }
  // Room for one more: Add then needs none.
  void Reserve();
  void Add(Channel* channel, uint32_t position);
  // Where it stands in the channel's list.
  uint32_t PositionIn(const Channel* channel) const { return Find(channel)->position; }
  void SetPosition(const Channel* channel, uint32_t position) { Find(channel)->position = position; }
  // O(1) on average: now and then what is left moves to a smaller table, if there is memory for it.
  void Remove(const Channel* channel);
  // Any one of the kind; null: there is none. The same until it is removed, O(1) on average when all are removed so.
  Channel* AnyOf(ChannelKind kind);
  // Those of the kind, in no order.
  std::vector<Channel*> All(ChannelKind kind) const;

 private:
  struct Slot {
    Channel* channel = nullptr;
    uint32_t position = 0;
    uint32_t hash = 0;  // the channel's: rebuilding looks at no channel
    bool operator==(const Slot&) const = default;
  };
  Slot* Find(const Channel* channel) const;
  // To another power of two; std::bad_alloc leaves them as they are. O(slots).
  void Resize(size_t count);

  Slot* slots_ = nullptr;  // a power of two of them, open addressing
  size_t mask_ = 0;
  size_t used_ = 0;
  size_t memory_bytes_ = 0;  // with a share of the channels
  size_t any_hint_ = 0;
  size_t counts_[kChannelKinds] = {};
};

class PubSub {
 public:
  // --- a connection's subscriptions; its worker's thread
  // False: it is subscribed already.
  static bool Subscribe(Connection& connection, ChannelKind kind, std::string_view name);
  // False: it was not.
  static bool Unsubscribe(Connection& connection, ChannelKind kind, std::string_view name);
  // The connection goes away, or RESET: ends at most `most` of its subscriptions. True when none is left.
  static bool Forget(Connection& connection, size_t most);
  static size_t CountOf(const Connection& connection, ChannelKind kind);
  // Names of those of the kind, in no order.
  static std::vector<std::string> NamesOf(const Connection& connection, ChannelKind kind);

  // --- a worker's thread, any locks of shards held or none
  // To how many it goes. For kChannel patterns count too.
  static int64_t Publish(ChannelKind kind, std::string_view channel, std::string_view message);
  // Whether anybody is subscribed to a channel or a pattern.
  static bool AnyListens();

  // --- any thread
  static size_t Channels(ChannelKind kind);
  static size_t Subscribers(ChannelKind kind, std::string_view name);
  // Channels of the kind that match (all when `pattern` is null).
  static std::vector<std::string> Names(ChannelKind kind, const std::string_view* pattern);

  // notify_hook (command/context.h): the event as messages, under the lock of the key's shard.
  static void Notify(const char* event, std::string_view key, int db);

 private:
  static bool Begin(Connection& connection, ChannelKind kind, std::string_view name);
};

}  // namespace brim
