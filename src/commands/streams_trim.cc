#include "commands/streams_trim.h"

#include <algorithm>

#include "commands/arguments.h"
#include "types/limits.h"

namespace brim {

namespace {

class TrimOptionParser {
 public:
  TrimOptionParser(Context& context, bool adding, StreamTrimOptions* options)
      : context_(context), adding_(adding), options_(*options) {}

  bool Parse() {
    for (; at_ < context_.argc() && !done_; at_++) {
      if (!Option()) return false;
    }
    return Agree();
  }

 private:
  bool more() const { return at_ + 1 < context_.argc(); }
  bool Refuse(std::string_view error) {
    context_.reply().Error(error);
    return false;
  }

  bool Option() {
    if (adding_ && context_.arg(at_) == "*") {
      options_.id_arg = at_;
      done_ = true;
      return true;
    }
    if (more() && ArgIs(context_, at_, "MAXLEN")) return Threshold(StreamTrim::kLength);
    if (more() && ArgIs(context_, at_, "MINID")) return Threshold(StreamTrim::kId);
    if (more() && ArgIs(context_, at_, "LIMIT")) {
      if (!ParseIntArg(context_, ++at_, &options_.trim.limit)) return false;
      limited_ = true;
      return options_.trim.limit >= 0 || Refuse("ERR The LIMIT argument must be >= 0.");
    }
    if (adding_ && ArgIs(context_, at_, "NOMKSTREAM")) {
      options_.no_stream = true;
      return true;
    }
    if (adding_ && more() && ArgIs(context_, at_, "IDMPAUTO")) return Idempotent(true);
    if (adding_ && at_ + 2 < context_.argc() && ArgIs(context_, at_, "IDMP")) return Idempotent(false);
    References references;
    if (ParseReferences(context_, at_, &references)) {
      if (references_given_) return Refuse(errors::kSyntax);
      references_given_ = true;
      options_.references = references;
      return true;
    }
    return adding_ ? Id() : Refuse(errors::kSyntax);
  }

  bool Threshold(StreamTrim::By by) {
    if (options_.trim.by != StreamTrim::kNothing) {
      return Refuse("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
    }
    std::string_view next = context_.arg(at_ + 1);
    options_.trim.approximate = at_ + 2 < context_.argc() && next == "~";
    if (at_ + 2 < context_.argc() && (next == "~" || next == "=")) at_++;
    at_++;
    if (by == StreamTrim::kLength) {
      int64_t length;
      if (!ParseIntArg(context_, at_, &length)) return false;
      if (length < 0) return Refuse("ERR The MAXLEN argument must be >= 0.");
      options_.trim.length = static_cast<size_t>(length);
    } else if (!ParseIdArg(context_, at_, &options_.trim.min_id)) {
      return false;
    }
    options_.trim.by = by;
    options_.threshold_arg = at_;
    return true;
  }

  bool Idempotent(bool auto_iid) {
    if (options_.idmp_arg != 0) return Refuse("ERR IDMP/IDMPAUTO specified multiple times");
    options_.idmp_arg = at_;
    options_.auto_iid = auto_iid;
    if (context_.arg(++at_).empty()) {
      return Refuse(auto_iid ? "ERR IDMPAUTO requires a non-empty producer ID"
                             : "ERR IDMP requires a non-empty producer ID");
    }
    return auto_iid || !context_.arg(++at_).empty() || Refuse("ERR IDMP requires a non-empty idempotent ID");
  }

  bool Id() {
    if (!ParseNewStreamId(context_.arg(at_), &options_.id, &options_.seq_given)) {
      return Refuse(errors::kInvalidStreamId);
    }
    options_.id_given = true;
    options_.id_arg = at_;
    done_ = true;
    return true;
  }

  // What the options say together.
  bool Agree() {
    StreamTrim& trim = options_.trim;
    if (trim.limit != 0 && trim.by == StreamTrim::kNothing) {
      return Refuse("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
    }
    if (!adding_ && trim.by == StreamTrim::kNothing) {
      return Refuse("ERR syntax error, XTRIM must be called with a trimming strategy");
    }
    // Redis records its XADD with the option and the id.
    if (options_.idmp_arg != 0 && options_.id_given && !replaying) {
      return Refuse("ERR IDMP/IDMPAUTO can be used only with auto-generated IDs");
    }
    if (replaying) {
      // The limit had its part in what was recorded.
      trim.limit = 0;
    } else if (limited_ && !trim.approximate) {
      return Refuse("ERR syntax error, LIMIT cannot be used without the special ~ option");
    } else if (!limited_ && trim.approximate) {
      // A hundred nodes, within reason.
      int64_t a_node = encoding_limits.stream_node_max_entries;
      trim.limit = a_node <= 0 ? 10000 : std::min<int64_t>(std::min<int64_t>(a_node, 10000) * 100, 1000000);
    }
    return true;
  }

  Context& context_;
  bool adding_;
  StreamTrimOptions& options_;
  size_t at_ = 2;
  bool done_ = false;
  bool limited_ = false;
  bool references_given_ = false;
};

}  // namespace

bool ParseTrimOptions(Context& context, bool adding, StreamTrimOptions* options) {
  return TrimOptionParser(context, adding, options).Parse();
}

size_t TrimAndDescribe(Context& context, Stream& stream, const StreamTrimOptions& options,
                       std::vector<std::string_view>* words, std::string* threshold) {
  StreamId boundary;
  size_t gone = options.references == References::kKeep
                    ? TrimStream(stream, options.trim)
                    : TrimWithReferences(stream, options.trim, options.references, &boundary);
  if (gone > 0) context.Notify(kNotifyStream, "xtrim", context.arg(1));
  if (effects == nullptr || !options.trim.approximate) return gone;
  // Where nodes end depends on settings and on what was done before: the outcome is said in exact terms.
  words->assign(context.argv().begin(), context.argv().end());
  size_t at = options.threshold_arg;
  (*words)[at - 1] = "=";
  if (options.references != References::kKeep) {
    (*words)[at - 2] = "MINID";
    *threshold = StreamIdText(boundary).view();
  } else if (options.trim.by == StreamTrim::kLength) {
    *threshold = std::to_string(stream.length);
  } else {
    *threshold = StreamIdText(stream.length > 0 ? stream.first_id : StreamId::Max()).view();
  }
  (*words)[at] = *threshold;
  return gone;
}

}  // namespace brim
