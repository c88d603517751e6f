// CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO: client-side caching as clients ask for it.
#include <algorithm>
#include <string>

#include "commands/arguments.h"
#include "server/connection.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "server/server_context.h"
#include "server/tracking.h"
#include "server/worker.h"

namespace brim {

namespace {

Connection& Own(Context& context) { return AsServer(context).connection(); }

// REDIRECT's argument. False with the error replied.
bool ParseRedirect(Context& context, size_t i, TrackingOptions* options) {
  if (options->redirect != 0) {
    context.reply().Error("ERR A client can only redirect to a single other client");
    return false;
  }
  int64_t id;
  if (!ParseIntArg(context, i, &id)) return false;
  for (auto& worker : server.workers()) {
    if (id > 0 && Settle(*worker, static_cast<uint64_t>(id))) options->redirect_worker = worker.get();
  }
  if (options->redirect_worker == nullptr) {
    context.reply().Error("ERR The client ID you want redirect to does not exist");
    return false;
  }
  options->redirect = static_cast<uint64_t>(id);
  return true;
}

bool ParseOptions(Context& context, TrackingOptions* options) {
  for (size_t i = 3; i < context.argc(); i++) {
    bool more = i + 1 < context.argc();
    if (ArgIs(context, i, "REDIRECT") && more) {
      if (!ParseRedirect(context, ++i, options)) return false;
    } else if (ArgIs(context, i, "BCAST")) {
      options->broadcast = true;
    } else if (ArgIs(context, i, "OPTIN")) {
      options->opt_in = true;
    } else if (ArgIs(context, i, "OPTOUT")) {
      options->opt_out = true;
    } else if (ArgIs(context, i, "NOLOOP")) {
      options->no_loop = true;
    } else if (ArgIs(context, i, "PREFIX") && more) {
      options->prefixes.push_back(context.arg(++i));
    } else {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

// What the options say against each other and against how the connection tracks already; null: nothing.
const char* Contradiction(const Tracking* tracking, const TrackingOptions& options) {
  if (!options.broadcast && !options.prefixes.empty()) return "ERR PREFIX option requires BCAST mode to be enabled";
  if (tracking != nullptr && tracking->broadcast != options.broadcast) {
    return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it "
           "with a different mode.";
  }
  if (options.broadcast && (options.opt_in || options.opt_out)) {
    return "ERR OPTIN and OPTOUT are not compatible with BCAST";
  }
  if (options.opt_in && options.opt_out) return "ERR You can't specify both OPTIN mode and OPTOUT mode";
  if (tracking != nullptr && ((options.opt_in && tracking->opt_out) || (options.opt_out && tracking->opt_in))) {
    return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it "
           "with a different mode.";
  }
  return nullptr;
}

bool Overlap(std::string_view a, std::string_view b) { return a.starts_with(b) || b.starts_with(a); }

bool RefuseOverlap(Context& context, std::string_view prefix, const char* kind, std::string_view other) {
  context.reply().Error("ERR Prefix '" + std::string(prefix) + "' overlaps with " + kind + " prefix '" +
                        std::string(other) + "'. Prefixes for a single client must not overlap.");
  return true;
}

// True with the error replied when a prefix begins like another.
bool PrefixesOverlap(Context& context, const Tracking* tracking, const std::vector<std::string_view>& prefixes) {
  // In order, those that overlap are neighbours; which two are named first is then looked for.
  std::vector<std::string_view> sorted = prefixes;
  std::sort(sorted.begin(), sorted.end());
  bool overlap = std::adjacent_find(sorted.begin(), sorted.end(), Overlap) != sorted.end();
  for (size_t i = 0; i < prefixes.size(); i++) {
    if (tracking != nullptr) {
      // Only its neighbours in order can: what is there does not overlap.
      auto behind = tracking->prefixes.lower_bound(prefixes[i]);
      if (behind != tracking->prefixes.begin() && Overlap(prefixes[i], *std::prev(behind))) {
        return RefuseOverlap(context, prefixes[i], "an existing", *std::prev(behind));
      }
      if (behind != tracking->prefixes.end() && Overlap(prefixes[i], *behind)) {
        return RefuseOverlap(context, prefixes[i], "an existing", *behind);
      }
    }
    for (size_t k = i + 1; overlap && k < prefixes.size(); k++) {
      if (Overlap(prefixes[i], prefixes[k])) {
        return RefuseOverlap(context, prefixes[i], "another provided", prefixes[k]);
      }
    }
  }
  return false;
}

void ClientTracking(Context& context) {
  TrackingOptions options;
  if (!ParseOptions(context, &options)) return;
  Connection& connection = Own(context);
  if (ArgIs(context, 2, "OFF")) {
    KeyTracking::Stop(connection);
  } else if (!ArgIs(context, 2, "ON")) {
    context.reply().Error(errors::kSyntax);
    return;
  } else {
    if (const char* error = Contradiction(connection.tracking.get(), options); error != nullptr) {
      context.reply().Error(error);
      return;
    }
    if (PrefixesOverlap(context, connection.tracking.get(), options.prefixes)) return;
    KeyTracking::Start(connection, options);
    connection.settled = true;
  }
  context.reply().Ok();
}

void ClientCaching(Context& context) {
  Tracking* tracking = Own(context).tracking.get();
  if (tracking == nullptr) {
    context.reply().Error(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled");
    return;
  }
  bool yes = ArgIs(context, 2, "YES");
  if (!yes && !ArgIs(context, 2, "NO")) {
    context.reply().Error(errors::kSyntax);
  } else if (yes && !tracking->opt_in) {
    context.reply().Error("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
  } else if (!yes && !tracking->opt_out) {
    context.reply().Error("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
  } else {
    tracking->caching = true;
    context.reply().Ok();
  }
}

int64_t RedirectOf(const Tracking* tracking) {
  return tracking == nullptr ? -1 : static_cast<int64_t>(tracking->redirect);
}

void ClientGetredir(Context& context) { context.reply().Integer(RedirectOf(Own(context).tracking.get())); }

void ClientTrackinginfo(Context& context) {
  const Tracking* tracking = Own(context).tracking.get();
  std::vector<std::string_view> flags{tracking != nullptr ? "on" : "off"};
  if (tracking != nullptr) {
    if (tracking->broadcast) flags.emplace_back("bcast");
    if (tracking->opt_in) flags.emplace_back("optin");
    if (tracking->opt_in && tracking->caching) flags.emplace_back("caching-yes");
    if (tracking->opt_out) flags.emplace_back("optout");
    if (tracking->opt_out && tracking->caching) flags.emplace_back("caching-no");
    if (tracking->no_loop) flags.emplace_back("noloop");
    if (tracking->broken) flags.emplace_back("broken_redirect");
  }
  Reply& reply = context.reply();
  reply.MapHeader(3);
  reply.Bulk("flags");
  reply.SetHeader(flags.size());
  for (std::string_view flag : flags) reply.Bulk(flag);
  reply.Bulk("redirect");
  reply.Integer(RedirectOf(tracking));
  reply.Bulk("prefixes");
  reply.ArrayHeader(tracking != nullptr ? tracking->prefixes.size() : 0);
  if (tracking == nullptr) return;
  for (const Prefix& prefix : tracking->prefixes) reply.Bulk(prefix);
}

constexpr uint32_t kPlain = kNoScript | kLoading | kStale | kSentinel;

constexpr CommandSpec kRows[] = {
    {"client|caching",
     3,
     kPlain,
     {},
     kCatConnection,
     Group::kConnection,
     "6.0.0",
     "O(1)",
     "Says whether the keys of the next command are tracked.",
     "<YES|NO>",
     ClientCaching},
    {"client|getredir",
     2,
     kPlain,
     {},
     kCatConnection,
     Group::kConnection,
     "6.0.0",
     "O(1)",
     "Answers to whom invalidations are sent: 0, to the connection itself; -1, to nobody.",
     "",
     ClientGetredir},
    {"client|tracking",
     -3,
     kPlain,
     {},
     kCatConnection,
     Group::kConnection,
     "6.0.0",
     "O(N) where N is the number of prefixes",
     "Begins or ends telling the connection when keys change that it has read.",
     "<ON|OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
     ClientTracking},
    {"client|trackinginfo",
     2,
     kPlain,
     {},
     kCatConnection,
     Group::kConnection,
     "6.2.0",
     "O(N) where N is the number of prefixes",
     "Answers how the connection tracks keys.",
     "",
     ClientTrackinginfo},
};

}  // namespace

const CommandTable kTrackingCommands = kRows;

}  // namespace brim
