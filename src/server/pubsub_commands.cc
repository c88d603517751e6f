// SUBSCRIBE and its relatives, PUBLISH, PUBSUB.
#include "command/help.h"
#include "commands/arguments.h"
#include "server/client_limits.h"
#include "server/connection.h"
#include "server/pubsub.h"
#include "server/server_commands.h"
#include "server/server_context.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr size_t kLookEvery = 256;  // subscriptions between two looks at clients' memory

// How many subscriptions of the connection a reply about that kind tells: channels and patterns together.
size_t CountToTell(const Connection& connection, ChannelKind kind) {
  if (kind == ChannelKind::kShard) return PubSub::CountOf(connection, kind);
  return PubSub::CountOf(connection, ChannelKind::kChannel) + PubSub::CountOf(connection, ChannelKind::kPattern);
}

// One of the replies of (un)subscribing. They are pushes: CLIENT REPLY OFF does not hold them back.
void ReplyChange(Context& context, std::string_view what, ChannelKind kind, const std::string_view* name) {
  Connection& connection = AsServer(context).connection();
  Reply& reply = context.reply();
  bool suppressed = reply.suppressed();
  reply.SetSuppressed(false);
  reply.PushHeader(3);
  reply.Bulk(what);
  if (name != nullptr) {
    reply.Bulk(*name);
  } else {
    reply.Null();
  }
  reply.Integer(static_cast<int64_t>(CountToTell(connection, kind)));
  reply.SetSuppressed(suppressed);
}

void SubscribeAll(Context& context, std::string_view what, ChannelKind kind) {
  Connection& connection = AsServer(context).connection();
  for (size_t i = 1; i < context.argc(); i++) {
    std::string_view name = context.arg(i);
    PubSub::Subscribe(connection, kind, name);
    ReplyChange(context, what, kind, &name);
    // The command is one, what it takes may be without bounds.
    if (i % kLookEvery == 0 && CutWhenOver(connection)) break;
  }
  connection.worker->pushes.EndReply();
}

void UnsubscribeAll(Context& context, std::string_view what, ChannelKind kind) {
  Connection& connection = AsServer(context).connection();
  for (size_t i = 1; i < context.argc(); i++) {
    std::string_view name = context.arg(i);
    PubSub::Unsubscribe(connection, kind, name);
    ReplyChange(context, what, kind, &name);
  }
  if (context.argc() == 1) {
    std::vector<std::string> names = PubSub::NamesOf(connection, kind);
    for (const std::string& each : names) {
      std::string_view name = each;
      PubSub::Unsubscribe(connection, kind, name);
      ReplyChange(context, what, kind, &name);
    }
    if (names.empty()) ReplyChange(context, what, kind, nullptr);
  }
  connection.worker->pushes.EndReply();
}

void Subscribe(Context& context) { SubscribeAll(context, "subscribe", ChannelKind::kChannel); }
void Psubscribe(Context& context) { SubscribeAll(context, "psubscribe", ChannelKind::kPattern); }
void Ssubscribe(Context& context) {
  // Its two elders may stand in a transaction.
  if (!context.may_block()) {
    context.reply().Error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
    return;
  }
  SubscribeAll(context, "ssubscribe", ChannelKind::kShard);
}
void Unsubscribe(Context& context) { UnsubscribeAll(context, "unsubscribe", ChannelKind::kChannel); }
void Punsubscribe(Context& context) { UnsubscribeAll(context, "punsubscribe", ChannelKind::kPattern); }
void Sunsubscribe(Context& context) { UnsubscribeAll(context, "sunsubscribe", ChannelKind::kShard); }

void Publish(Context& context) {
  context.reply().Integer(PubSub::Publish(ChannelKind::kChannel, context.arg(1), context.arg(2)));
}
void Spublish(Context& context) {
  context.reply().Integer(PubSub::Publish(ChannelKind::kShard, context.arg(1), context.arg(2)));
}

void ReplyNames(Context& context, ChannelKind kind) {
  if (context.argc() > 3) {
    context.reply().Error("ERR unknown subcommand or wrong number of arguments for '" + std::string(context.arg(1)) +
                          "'. Try PUBSUB HELP.");
    return;
  }
  std::string_view pattern = context.argc() == 3 ? context.arg(2) : std::string_view();
  std::vector<std::string> names = PubSub::Names(kind, context.argc() == 3 ? &pattern : nullptr);
  context.reply().ArrayHeader(names.size());
  for (const std::string& name : names) context.reply().Bulk(name);
}

void ReplyCounts(Context& context, ChannelKind kind) {
  context.reply().ArrayHeader((context.argc() - 2) * 2);
  for (size_t i = 2; i < context.argc(); i++) {
    context.reply().Bulk(context.arg(i));
    context.reply().Integer(static_cast<int64_t>(PubSub::Subscribers(kind, context.arg(i))));
  }
}

void PubsubChannels(Context& context) { ReplyNames(context, ChannelKind::kChannel); }
void PubsubShardchannels(Context& context) { ReplyNames(context, ChannelKind::kShard); }
void PubsubNumsub(Context& context) { ReplyCounts(context, ChannelKind::kChannel); }
void PubsubShardnumsub(Context& context) { ReplyCounts(context, ChannelKind::kShard); }
void PubsubNumpat(Context& context) {
  context.reply().Integer(static_cast<int64_t>(PubSub::Channels(ChannelKind::kPattern)));
}

constexpr uint32_t kOwn = kPubSub | kNoScript | kLoading | kStale | kWhileSubscribed;
constexpr uint32_t kAsk = kPubSub | kLoading | kStale;
constexpr uint32_t kSend = kPubSub | kLoading | kStale | kFast | kMayReplicate;

constexpr CommandSpec kRows[] = {
    {"subscribe",
     -2,
     kOwn | kSentinel,
     {},
     0,
     Group::kPubSub,
     "2.0.0",
     "O(N) where N is the number of channels",
     "Has what is published to the channels sent to the connection.",
     "channel [channel ...]",
     Subscribe},
    {"unsubscribe",
     -1,
     kOwn | kSentinel,
     {},
     0,
     Group::kPubSub,
     "2.0.0",
     "O(N) where N is the number of channels",
     "Ends subscriptions to channels: those named, or all.",
     "[channel [channel ...]]",
     Unsubscribe},
    {"psubscribe",
     -2,
     kOwn | kSentinel,
     {},
     0,
     Group::kPubSub,
     "2.0.0",
     "O(N) where N is the number of patterns",
     "Has what is published to channels that match the patterns sent to the connection.",
     "pattern [pattern ...]",
     Psubscribe},
    {"punsubscribe",
     -1,
     kOwn | kSentinel,
     {},
     0,
     Group::kPubSub,
     "2.0.0",
     "O(N) where N is the number of patterns",
     "Ends subscriptions to patterns: those named, or all.",
     "[pattern [pattern ...]]",
     Punsubscribe},
    {"ssubscribe",
     -2,
     kOwn,
     {KeyRange(1, -1, 1, kKeyNotKey)},
     0,
     Group::kPubSub,
     "7.0.0",
     "O(N) where N is the number of shard channels",
     "Has what is published to the shard channels sent to the connection.",
     "shardchannel [shardchannel ...]",
     Ssubscribe},
    {"sunsubscribe",
     -1,
     kOwn,
     {KeyRange(1, -1, 1, kKeyNotKey)},
     0,
     Group::kPubSub,
     "7.0.0",
     "O(N) where N is the number of shard channels",
     "Ends subscriptions to shard channels: those named, or all.",
     "[shardchannel [shardchannel ...]]",
     Sunsubscribe},
    {"publish",
     3,
     kSend | kSentinel,
     {},
     0,
     Group::kPubSub,
     "2.0.0",
     "O(N+M) where N is the number of the channel's subscribers and M the number of all patterns",
     "Sends a message to the subscribers of a channel.",
     "channel message",
     Publish},
    {"spublish",
     3,
     kSend,
     {KeyAt(1, kKeyNotKey)},
     0,
     Group::kPubSub,
     "7.0.0",
     "O(N) where N is the number of the shard channel's subscribers",
     "Sends a message to the subscribers of a shard channel.",
     "shardchannel message",
     Spublish},
    {"pubsub",
     -2,
     0,
     {},
     0,
     Group::kPubSub,
     "2.8.0",
     "Depends on the subcommand",
     "Commands about channels and their subscribers.",
     "",
     nullptr},
    {"pubsub|channels",
     -2,
     kAsk,
     {},
     0,
     Group::kPubSub,
     "2.8.0",
     "O(N) where N is the number of channels",
     "Answers the channels that have subscribers.",
     "[pattern]",
     PubsubChannels},
    {"pubsub|help",
     2,
     kLoading | kStale,
     {},
     0,
     Group::kPubSub,
     "6.2.0",
     "O(1)",
     "Lists the subcommands.",
     "",
     ContainerHelp},
    {"pubsub|numpat",
     2,
     kAsk,
     {},
     0,
     Group::kPubSub,
     "2.8.0",
     "O(1)",
     "Answers how many different patterns have subscribers.",
     "",
     PubsubNumpat},
    {"pubsub|numsub",
     -2,
     kAsk,
     {},
     0,
     Group::kPubSub,
     "2.8.0",
     "O(N) where N is the number of channels named",
     "Answers how many subscribers channels have, those of patterns not counted.",
     "[channel [channel ...]]",
     PubsubNumsub},
    {"pubsub|shardchannels",
     -2,
     kAsk,
     {},
     0,
     Group::kPubSub,
     "7.0.0",
     "O(N) where N is the number of shard channels",
     "Answers the shard channels that have subscribers.",
     "[pattern]",
     PubsubShardchannels},
    {"pubsub|shardnumsub",
     -2,
     kAsk,
     {},
     0,
     Group::kPubSub,
     "7.0.0",
     "O(N) where N is the number of shard channels named",
     "Answers how many subscribers shard channels have.",
     "[shardchannel [shardchannel ...]]",
     PubsubShardnumsub},
};

}  // namespace

const CommandTable kPubSubCommands = kRows;

}  // namespace brim
