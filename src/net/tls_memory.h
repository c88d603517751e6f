#pragma once
// What OpenSSL allocates is counted: in the category "tls", and its record buffers, which are taken while a record is
// on its way and given back when none is, among the clients' input.
#include <cstdint>

namespace brim {

// Makes OpenSSL allocate here. Before it is used for anything; calling it again does no harm.
void CountTlsMemory();

// This thread's balance, all sessions together: what it has taken less what it has given back. A session knows what it
// holds by how these change while it works.
struct TlsBalance {
  int64_t bytes = 0;         // record buffers included
  int64_t record_bytes = 0;  // record buffers
};
TlsBalance TlsBalanceOfThread();

}  // namespace brim
