#pragma once
// What the list commands share; handlers of the blocking ones are in lists_blocking.cc.
#include <span>
#include <string_view>

#include "command/context.h"

namespace brim {

// LEFT or RIGHT at arg(at). False (nothing replied) for anything else.
bool ParseSide(const Context& context, size_t at, bool* left);

struct ListPopRequest {
  bool left = true;
  int64_t count = 1;
};

// numkeys at arg(at), the keys, LEFT or RIGHT, and COUNT, as LMPOP takes them. False with the error replied.
bool ParseListMultiPop(Context& context, size_t at, std::span<const std::string_view>* keys, ListPopRequest* request);

// The first of the keys that holds a list, its name in *found. Empty when none does, and (with WRONGTYPE replied and
// *wrong_type set) when one before it holds something else.
KeyRef FirstList(Context& context, std::span<const std::string_view> keys, std::string_view* found, bool* wrong_type);

// Pops up to request.count elements of a list and replies each; the key goes with the last one. Events included.
void PopAndReply(Context& context, KeyRef& ref, std::string_view key, const ListPopRequest& request);

// Moves an element between lists (ref holds the source's) and replies it. The target may be of another type: WRONGTYPE.
void MoveElement(Context& context, KeyRef& ref, std::string_view from_key, std::string_view to_key, bool from_left,
                 bool to_left);

}  // namespace brim
