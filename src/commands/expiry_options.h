#pragma once
// EX, PX, EXAT, PXAT, KEEPTTL, PERSIST: the options of SET and GETEX, and the times of EXPIRE and its kin.
#include <cstdint>
#include <string_view>

#include "command/context.h"

namespace brim {

struct ExpiryOption {
  enum Kind : uint8_t { kNone, kEx, kPx, kExat, kPxat, kKeep, kPersist } kind = kNone;
  std::string_view text;
  int64_t at_ms = -1;  // after ResolveExpiry
};

enum ExpiryAllowed : uint8_t { kAllowKeepTtl = 1, kAllowPersist = 2 };

// Takes the option at arg(*i), advancing *i over its value. False when it is none of them, or a second one.
bool ParseExpiryOption(Context& context, size_t* i, int allowed, ExpiryOption* option);
// Turns the option's text into a time. False with redis-server's error replied. Nothing to do for the kinds without.
bool ResolveExpiry(Context& context, ExpiryOption* option);

// The effect of giving the key that time.
void TellExpiry(Context& context, std::string_view key, int64_t at_ms);

}  // namespace brim
