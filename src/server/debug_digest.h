#pragma once
// Digests of data as DEBUG DIGEST and DIGEST-VALUE of redis-server 7.0 make them: equal data, equal digest, whatever
// the encodings and the order of sets.
#include <string>

#include "base/sha1.h"
#include "store/keyspace.h"

namespace brim {

// Digest of one key's value and expiry. Needs its shard's lock.
Sha1Digest DigestValue(KeyRef& ref);
// Digest of everything in all databases; keys past their time count. Every shard locked.
Sha1Digest DigestAll();
std::string DigestHex(const Sha1Digest& digest);

}  // namespace brim
