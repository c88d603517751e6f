#include "server/pubsub.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "base/glob.h"
#include "base/hash.h"
#include "base/numbers.h"
#include "base/table_room.h"
#include "command/context.h"
#include "memory/account.h"
#include "server/connection.h"
#include "server/push.h"
#include "server/server.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr size_t kStripes = 64;
constexpr size_t kSlotsMin = 4;
constexpr size_t kBucketsMin = 16;
constexpr size_t kPatternsMin = 16;

size_t Workers() { return server.workers().size(); }

}  // namespace

// A channel (or pattern) that has subscribers. Behind it lie a Local for each worker, for a pattern the places in the
// lists of patterns, and the name.
class Channel {
 public:
  struct Local {
    uint32_t visible = 0;  // subscribers that publishers count; the stripe's lock
    uint32_t size = 0;     // of the list; the worker's thread
    union {
      Connection* one = nullptr;
      Connection** many;  // room for the next power of two
    };
    Connection* at(size_t i) const { return size <= 1 ? one : many[i]; }
  };

  static Channel* Make(ChannelKind kind, std::string_view name, uint64_t hash) {
    size_t bytes = BytesFor(kind, name.size());
    auto* channel = static_cast<Channel*>(AllocateBytes(bytes, MemoryCategory::kPubSub));
    memset(static_cast<void*>(channel), 0, bytes);
    channel->hash = hash;
    channel->name_size_ = static_cast<uint32_t>(name.size());
    channel->kind = kind;
    memcpy(channel->name_data(), name.data(), name.size());
    return channel;
  }
  static void Destroy(Channel* channel) { FreeBytes(channel, MemoryCategory::kPubSub); }

  Local& local(size_t worker) { return reinterpret_cast<Local*>(this + 1)[worker]; }
  // Of a pattern: where it stands in each worker's list of patterns, and (last) in that of all.
  uint32_t* places() { return reinterpret_cast<uint32_t*>(&local(Workers())); }
  std::string_view name() { return {name_data(), name_size_}; }
  size_t memory_bytes() const { return BytesFor(kind, name_size_); }

  // Both: the worker's thread. The position of the new one / the connection that took the freed position, or null.
  uint32_t Add(size_t worker, Connection* connection);
  Connection* Remove(size_t worker, uint32_t position);

  Channel* next;  // in its bucket
  uint64_t hash;
  uint32_t users;  // entries in all lists, and those to come; the stripe's lock
  ChannelKind kind;

 private:
  static size_t BytesFor(ChannelKind kind, size_t name) {
    size_t places = kind == ChannelKind::kPattern ? (Workers() + 1) * sizeof(uint32_t) : 0;
    return sizeof(Channel) + Workers() * sizeof(Local) + places + name;
  }
  char* name_data() { return reinterpret_cast<char*>(places() + (kind == ChannelKind::kPattern ? Workers() + 1 : 0)); }
  uint32_t name_size_;
};

uint32_t Channel::Add(size_t worker, Connection* connection) {
  Local& list = local(worker);
  if (list.size == 0) {
    list.one = connection;
  } else if ((list.size & (list.size - 1)) == 0) {
    // Full: the power of two that it had room for.
    auto** grown =
        static_cast<Connection**>(AllocateBytes(size_t{list.size} * 2 * sizeof(Connection*), MemoryCategory::kPubSub));
    for (uint32_t i = 0; i < list.size; i++) grown[i] = list.at(i);
    grown[list.size] = connection;
    if (list.size > 1) FreeBytes(list.many, MemoryCategory::kPubSub);
    list.many = grown;
  } else {
    list.many[list.size] = connection;
  }
  return list.size++;
}

Connection* Channel::Remove(size_t worker, uint32_t position) {
  Local& list = local(worker);
  uint32_t last = list.size - 1;
  Connection* moved = position == last ? nullptr : list.at(last);
  if (list.size == 1) {
    list.one = nullptr;
  } else {
    if (moved != nullptr) list.many[position] = moved;
    if (last == 1) {
      Connection* left = list.many[0];
      FreeBytes(list.many, MemoryCategory::kPubSub);
      list.one = left;
    } else if ((last & (last - 1)) == 0) {
      // A power of two are left: they fill their room exactly again, if there is memory for it.
      void* shrunk = TryAllocateBytes(size_t{last} * sizeof(Connection*), MemoryCategory::kPubSub);
      if (shrunk != nullptr) {
        std::copy(list.many, list.many + last, static_cast<Connection**>(shrunk));
        FreeBytes(list.many, MemoryCategory::kPubSub);
        list.many = static_cast<Connection**>(shrunk);
      }
    }
  }
  list.size = last;
  return moved;
}

namespace {

using PatternList = std::vector<Channel*, CountedAllocator<Channel*, MemoryCategory::kPubSub>>;

// Room for one more.
void Reserve(PatternList& list) {
  if (list.size() == list.capacity()) list.reserve(std::max(kPatternsMin, list.size() * 2));
}

// All channels, in stripes by hash, each a chained table under a lock of its own.
class Stripe {
 public:
  SpinLock lock;
  // The rest under the lock.
  Channel* Find(ChannelKind kind, std::string_view name, uint64_t hash) {
    if (buckets_.empty()) return nullptr;
    Channel* channel = buckets_[BucketOf(hash)];
    while (channel != nullptr && (channel->hash != hash || channel->kind != kind || channel->name() != name)) {
      channel = channel->next;
    }
    return channel;
  }
  // Room for one more: Add then needs none.
  void Reserve() {
    if (size_ >= buckets_.size()) Resize(std::max(kBucketsMin, buckets_.size() * 2));
  }
  void Add(Channel* channel) {
    Channel*& bucket = buckets_[BucketOf(channel->hash)];
    channel->next = bucket;
    bucket = channel;
    size_++;
  }
  void Remove(Channel* channel) {
    Channel** link = &buckets_[BucketOf(channel->hash)];
    while (*link != channel) link = &(*link)->next;
    *link = channel->next;
    if (--size_ == 0) {
      Buckets().swap(buckets_);
    } else if (size_t less = LessRoom(size_, buckets_.size(), kBucketsMin); less > 0) {
      try {
        Resize(less);
      } catch (const std::bad_alloc&) {
        NoteShortage();  // it keeps what it has
      }
    }
  }
  template <class Fn>
  void ForEach(Fn&& fn) {
    for (Channel* channel : buckets_) {
      for (; channel != nullptr; channel = channel->next) fn(*channel);
    }
  }

 private:
  using Buckets = std::vector<Channel*, CountedAllocator<Channel*, MemoryCategory::kPubSub>>;
  size_t BucketOf(uint64_t hash) const { return hash / kStripes & (buckets_.size() - 1); }
  // To another power of two; std::bad_alloc leaves it as it is.
  void Resize(size_t count) {
    Buckets old(count, nullptr);
    old.swap(buckets_);
    for (Channel* channel : old) {
      while (channel != nullptr) {
        Channel* next = channel->next;
        Channel*& bucket = buckets_[BucketOf(channel->hash)];
        channel->next = bucket;
        bucket = channel;
        channel = next;
      }
    }
  }
  Buckets buckets_;
  size_t size_ = 0;
};

Stripe stripes[kStripes];
std::atomic<size_t> channel_counts[kChannelKinds];
// Every pattern: publishers hold it shared while they match and post. Taken before a stripe's lock.
std::shared_mutex patterns_mutex;
PatternList all_patterns;
// Each worker's own: patterns that its connections are subscribed to.
PatternList local_patterns[64];

Stripe& StripeOf(uint64_t hash) { return stripes[hash % kStripes]; }

std::atomic<size_t>& CountOfKind(ChannelKind kind) { return channel_counts[static_cast<int>(kind)]; }

uint64_t HashOf(ChannelKind kind, std::string_view name) {
  return HashBytes(name) + static_cast<uint64_t>(kind) * 0x9E3779B97F4A7C15;
}

// Appends "$5\r\nbytes\r\n".
char* PutBulk(char* to, std::string_view bytes) {
  *to++ = '$';
  to += FormatUint64(bytes.size(), to);
  *to++ = '\r';
  *to++ = '\n';
  memcpy(to, bytes.data(), bytes.size());
  to += bytes.size();
  *to++ = '\r';
  *to++ = '\n';
  return to;
}
constexpr size_t kBulkFrame = 32;

// A published message: channel and message as they stand at the end of what each subscriber gets.
class Message final : public Push {
 public:
  static Message* Make(ChannelKind kind, std::string_view channel, std::string_view message, uint64_t hash) {
    auto* made = new (channel.size() + message.size() + 2 * kBulkFrame) Message(kind, hash);
    char* end = PutBulk(made->text(), channel);
    made->name_ = {end - 2 - channel.size(), channel.size()};
    end = PutBulk(end, message);
    made->size_ = static_cast<size_t>(end - made->text());
    return made;
  }

  void Deliver(Worker& worker) override {
    auto index = static_cast<size_t>(worker.index());
    std::string_view tail{text(), size_};
    Channel* channel;
    {
      Stripe& stripe = StripeOf(hash_);
      std::lock_guard guard(stripe.lock);
      channel = stripe.Find(kind_, name_, hash_);
      // Its entries in the worker's list keep it: only this thread takes them out.
      if (channel != nullptr && channel->local(index).size == 0) channel = nullptr;
    }
    if (channel != nullptr) {
      bool shard = kind_ == ChannelKind::kShard;
      SendToAll(worker, channel->local(index), shard ? "*3\r\n$8\r\nsmessage\r\n" : "*3\r\n$7\r\nmessage\r\n",
                shard ? ">3\r\n$8\r\nsmessage\r\n" : ">3\r\n$7\r\nmessage\r\n", tail);
    }
    if (kind_ != ChannelKind::kChannel) return;
    for (Channel* pattern : local_patterns[index]) {
      if (!GlobMatch(pattern->name(), name_, false)) continue;
      std::string head = "*4\r\n$8\r\npmessage\r\n$" + std::to_string(pattern->name().size()) + "\r\n";
      head.append(pattern->name()).append("\r\n");
      std::string push_head = head;
      push_head[0] = '>';
      SendToAll(worker, pattern->local(index), head, push_head, tail);
    }
  }

 private:
  Message(ChannelKind kind, uint64_t hash) : kind_(kind), hash_(hash) {}
  char* text() { return reinterpret_cast<char*>(this + 1); }

  void SendToAll(Worker& worker, Channel::Local& list, std::string_view head, std::string_view push_head,
                 std::string_view tail) {
    constexpr uint32_t kAhead = 4;
    for (uint32_t i = 0; i < list.size; i++) {
      if (i + kAhead < list.size) __builtin_prefetch(list.at(i + kAhead));
      Connection& connection = *list.at(i);
      worker.pushes.Send(connection, connection.resp >= 3 ? push_head : head, tail, this,
                         PushQueue::Place::kBeforeReply);
    }
  }

  ChannelKind kind_;
  uint64_t hash_;
  std::string_view name_;
  size_t size_ = 0;
};

struct Audience {
  size_t deliveries[64] = {};
  int64_t total = 0;
  void Add(Channel& channel) {
    for (size_t i = 0; i < Workers(); i++) {
      deliveries[i] += channel.local(i).visible;
      total += channel.local(i).visible;
    }
  }
};

void PostTo(const Audience& audience, ChannelKind kind, std::string_view channel, std::string_view message,
            uint64_t hash) {
  if (audience.total == 0) return;
  PushReference push(Message::Make(kind, channel, message, hash));
  for (size_t i = 0; i < Workers(); i++) {
    if (audience.deliveries[i] > 0) server.workers()[i]->pushes.Post(push.get(), audience.deliveries[i]);
  }
}

}  // namespace

Subscriptions::~Subscriptions() { FreeBytes(slots_, MemoryCategory::kPubSub); }

Subscriptions::Slot* Subscriptions::Find(const Channel* channel) const {
  static Slot none;
  if (slots_ == nullptr) return &none;
  size_t i = channel->hash & mask_;
  while (slots_[i].channel != nullptr && slots_[i].channel != channel) i = (i + 1) & mask_;
  return &slots_[i];
}

void Subscriptions::Resize(size_t count) {
  auto* fresh = static_cast<Slot*>(AllocateBytes(count * sizeof(Slot), MemoryCategory::kPubSub));
  std::fill(fresh, fresh + count, Slot());
  Slot* old = std::exchange(slots_, fresh);
  size_t old_count = old == nullptr ? 0 : mask_ + 1;
  mask_ = count - 1;
  for (size_t i = 0; i < old_count; i++) {
    if (old[i].channel == nullptr) continue;
    size_t at = old[i].hash & mask_;
    while (fresh[at].channel != nullptr) at = (at + 1) & mask_;
    fresh[at] = old[i];
  }
  FreeBytes(old, MemoryCategory::kPubSub);
  memory_bytes_ += (count - old_count) * sizeof(Slot);
  any_hint_ = 0;
}

void Subscriptions::Reserve() {
  size_t slots = slots_ == nullptr ? 0 : mask_ + 1;
  if (used_ + used_ / 3 >= slots) Resize(std::max(kSlotsMin, slots * 2));
}

void Subscriptions::Add(Channel* channel, uint32_t position) {
  *Find(channel) = {channel, position, static_cast<uint32_t>(channel->hash)};
  used_++;
  counts_[static_cast<int>(channel->kind)]++;
  memory_bytes_ += channel->memory_bytes();
}

void Subscriptions::Remove(const Channel* channel) {
  auto hole = static_cast<size_t>(Find(channel) - slots_);
  used_--;
  counts_[static_cast<int>(channel->kind)]--;
  memory_bytes_ -= channel->memory_bytes();
  // Those that stand behind it because it was there move up.
  for (size_t i = (hole + 1) & mask_; slots_[i].channel != nullptr; i = (i + 1) & mask_) {
    size_t home = slots_[i].hash & mask_;
    if (((i - home) & mask_) < ((i - hole) & mask_)) continue;
    slots_[hole] = slots_[i];
    hole = i;
  }
  slots_[hole] = Slot();
  if (size_t less = LessRoom(used_, mask_ + 1, kSlotsMin); less > 0) {
    try {
      Resize(less);
    } catch (const std::bad_alloc&) {
      NoteShortage();  // they keep what they have
    }
  }
}

Channel* Subscriptions::AnyOf(ChannelKind kind) {
  if (count(kind) == 0) return nullptr;
  for (;; any_hint_ = (any_hint_ + 1) & mask_) {
    Channel* channel = slots_[any_hint_].channel;
    if (channel != nullptr && channel->kind == kind) return channel;
  }
}

std::vector<Channel*> Subscriptions::All(ChannelKind kind) const {
  std::vector<Channel*> all;
  for (size_t i = 0; slots_ != nullptr && i <= mask_; i++) {
    if (slots_[i].channel != nullptr && slots_[i].channel->kind == kind) all.push_back(slots_[i].channel);
  }
  return all;
}

namespace {

// Takes the pattern at that place out of the list; `which` says which of its places the list is.
void TakeOut(PatternList& list, Channel* pattern, size_t which) {
  uint32_t place = pattern->places()[which];
  Channel* last = list.back();
  list[place] = last;
  last->places()[which] = place;
  list.pop_back();
  size_t less = LessRoom(list.size(), std::bit_floor(list.capacity()), kPatternsMin);
  if (less == 0) return;
  try {
    PatternList fewer;
    fewer.reserve(less);
    fewer.assign(list.begin(), list.end());
    list.swap(fewer);
  } catch (const std::bad_alloc&) {
    NoteShortage();  // it keeps what it has
  }
}

// The lock of all patterns where it is one.
std::unique_lock<std::shared_mutex> LockPatterns(ChannelKind kind) {
  std::unique_lock patterns(patterns_mutex, std::defer_lock);
  if (kind == ChannelKind::kPattern) patterns.lock();
  return patterns;
}

// An entry of its lists is gone: with the last one the channel goes. No lock held.
void DropUser(Channel* channel) {
  auto patterns = LockPatterns(channel->kind);
  Stripe& stripe = StripeOf(channel->hash);
  std::lock_guard guard(stripe.lock);
  if (--channel->users > 0) return;
  if (channel->kind == ChannelKind::kPattern) TakeOut(all_patterns, channel, Workers());
  stripe.Remove(channel);
  CountOfKind(channel->kind).fetch_sub(1, std::memory_order_relaxed);
  Channel::Destroy(channel);
}

// Publishers no longer count one of the worker's subscribers; what was published before is delivered.
void Hide(Worker& worker, Channel* channel) {
  {
    auto patterns = LockPatterns(channel->kind);
    std::lock_guard guard(StripeOf(channel->hash).lock);
    channel->local(static_cast<size_t>(worker.index())).visible--;
    worker.pushes.TakeMail();
  }
  worker.pushes.DeliverTaken();
}

}  // namespace

bool PubSub::Subscribe(Connection& connection, ChannelKind kind, std::string_view name) {
  try {
    return Begin(connection, kind, name);
  } catch (const std::bad_alloc&) {
    // Who has this object is subscribed to something.
    if (connection.subscriptions != nullptr && connection.subscriptions->total() == 0) connection.subscriptions.reset();
    throw;
  }
}

bool PubSub::Begin(Connection& connection, ChannelKind kind, std::string_view name) {
  Worker& worker = *connection.worker;
  auto index = static_cast<size_t>(worker.index());
  uint64_t hash = HashOf(kind, name);
  Stripe& stripe = StripeOf(hash);
  Channel* channel;
  if (connection.subscriptions == nullptr) connection.subscriptions = std::make_unique<Subscriptions>();
  connection.subscriptions->Reserve();
  {
    auto patterns = LockPatterns(kind);
    std::lock_guard guard(stripe.lock);
    channel = stripe.Find(kind, name, hash);
    if (connection.subscriptions->Has(channel)) return false;
    if (channel == nullptr) {
      // What needs memory comes before anything is changed.
      stripe.Reserve();
      if (kind == ChannelKind::kPattern) Reserve(all_patterns);
      channel = Channel::Make(kind, name, hash);
      stripe.Add(channel);
      CountOfKind(kind).fetch_add(1, std::memory_order_relaxed);
      if (kind == ChannelKind::kPattern) {
        channel->places()[Workers()] = static_cast<uint32_t>(all_patterns.size());
        all_patterns.push_back(channel);
      }
    }
    channel->users++;
    channel->local(index).visible++;
    // What was published before this moment is delivered without the new subscriber, what comes from now on with it.
    worker.pushes.TakeMail();
  }
  worker.pushes.DeliverTaken();
  try {
    if (kind == ChannelKind::kPattern && channel->local(index).size == 0) {
      channel->places()[index] = static_cast<uint32_t>(local_patterns[index].size());
      Reserve(local_patterns[index]);
      local_patterns[index].push_back(channel);
    }
    connection.subscriptions->Add(channel, channel->Add(index, &connection));
  } catch (const std::bad_alloc&) {
    Hide(worker, channel);
    DropUser(channel);
    throw;
  }
  return true;
}

namespace {

void End(Connection& connection, Channel* channel) {
  Worker& worker = *connection.worker;
  auto index = static_cast<size_t>(worker.index());
  Hide(worker, channel);
  uint32_t position = connection.subscriptions->PositionIn(channel);
  if (Connection* moved = channel->Remove(index, position)) moved->subscriptions->SetPosition(channel, position);
  connection.subscriptions->Remove(channel);
  if (channel->kind == ChannelKind::kPattern && channel->local(index).size == 0) {
    TakeOut(local_patterns[index], channel, index);
  }
  DropUser(channel);
}

}  // namespace

bool PubSub::Unsubscribe(Connection& connection, ChannelKind kind, std::string_view name) {
  if (connection.subscriptions == nullptr) return false;
  uint64_t hash = HashOf(kind, name);
  Stripe& stripe = StripeOf(hash);
  Channel* channel;
  {
    std::lock_guard guard(stripe.lock);
    channel = stripe.Find(kind, name, hash);
    if (!connection.subscriptions->Has(channel)) return false;
  }
  End(connection, channel);
  if (connection.subscriptions->total() == 0) connection.subscriptions.reset();
  return true;
}

bool PubSub::Forget(Connection& connection, size_t most) {
  if (connection.subscriptions == nullptr) return true;
  for (int kind = 0; kind < kChannelKinds; kind++) {
    while (Channel* channel = connection.subscriptions->AnyOf(static_cast<ChannelKind>(kind))) {
      if (most-- == 0) return false;
      End(connection, channel);
    }
  }
  connection.subscriptions.reset();
  return true;
}

size_t PubSub::CountOf(const Connection& connection, ChannelKind kind) {
  return connection.subscriptions == nullptr ? 0 : connection.subscriptions->count(kind);
}

std::vector<std::string> PubSub::NamesOf(const Connection& connection, ChannelKind kind) {
  std::vector<std::string> names;
  if (connection.subscriptions == nullptr) return names;
  for (Channel* channel : connection.subscriptions->All(kind)) names.emplace_back(channel->name());
  return names;
}

int64_t PubSub::Publish(ChannelKind kind, std::string_view name, std::string_view message) {
  uint64_t hash = HashOf(kind, name);
  Audience audience;
  // The locks are held until the message is posted: who subscribes meanwhile waits and gets what comes later.
  std::shared_lock patterns(patterns_mutex, std::defer_lock);
  if (kind == ChannelKind::kChannel && Channels(ChannelKind::kPattern) > 0) {
    patterns.lock();
    for (Channel* pattern : all_patterns) {
      if (!GlobMatch(pattern->name(), name, false)) continue;
      std::lock_guard guard(StripeOf(pattern->hash).lock);
      audience.Add(*pattern);
    }
  }
  Stripe& stripe = StripeOf(hash);
  std::lock_guard guard(stripe.lock);
  if (Channel* channel = stripe.Find(kind, name, hash)) audience.Add(*channel);
  PostTo(audience, kind, name, message, hash);
  return audience.total;
}

bool PubSub::AnyListens() { return Channels(ChannelKind::kChannel) + Channels(ChannelKind::kPattern) > 0; }

size_t PubSub::Channels(ChannelKind kind) { return CountOfKind(kind).load(std::memory_order_relaxed); }

size_t PubSub::Subscribers(ChannelKind kind, std::string_view name) {
  uint64_t hash = HashOf(kind, name);
  Stripe& stripe = StripeOf(hash);
  std::lock_guard guard(stripe.lock);
  Audience audience;
  if (Channel* channel = stripe.Find(kind, name, hash)) audience.Add(*channel);
  return static_cast<size_t>(audience.total);
}

std::vector<std::string> PubSub::Names(ChannelKind kind, const std::string_view* pattern) {
  std::vector<std::string> names;
  for (Stripe& stripe : stripes) {
    std::lock_guard guard(stripe.lock);
    stripe.ForEach([&](Channel& channel) {
      if (channel.kind != kind || (pattern != nullptr && !GlobMatch(*pattern, channel.name(), false))) return;
      size_t visible = 0;
      for (size_t i = 0; i < Workers(); i++) visible += channel.local(i).visible;
      if (visible > 0) names.emplace_back(channel.name());
    });
  }
  return names;
}

void PubSub::Notify(const char* event, std::string_view key, int db) {
  if (!AnyListens() || replaying || current_worker == nullptr) return;
  try {
    std::string number = std::to_string(db);
    if (notify_classes & kNotifyKeyspace) {
      std::string channel = "__keyspace@" + number + "__:";
      Publish(ChannelKind::kChannel, channel.append(key), event);
    }
    if (notify_classes & kNotifyKeyevent) {
      Publish(ChannelKind::kChannel, "__keyevent@" + number + "__:" + event, key);
    }
  } catch (const std::bad_alloc&) {
    NoteShortage();  // the event is lost, the change is not
  }
}

}  // namespace brim
