#include "commands/live_fields.h"

#include <algorithm>
#include <vector>

#include "store/expiry.h"

namespace brim {

void ExpireNamed(Context& context, KeyRef* ref, std::span<const std::string_view> words, size_t step) {
  int64_t now_ms = LiveTime(context);
  if (!HashMayBeDue(*ref, now_ms) || expiry_paused.load(std::memory_order_relaxed)) return;
  std::vector<std::string_view> due;
  for (size_t i = 0; i < words.size(); i += step) {
    if (FieldIsDue(HashFieldTime(*ref, words[i]), now_ms)) due.push_back(words[i]);
  }
  // A field may be named twice.
  std::sort(due.begin(), due.end());
  due.erase(std::unique(due.begin(), due.end()), due.end());
  if (!due.empty()) RemoveDueFields(*ref, due);
}

}  // namespace brim
