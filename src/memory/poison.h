#pragma once
// AddressSanitizer's poisoning of free blocks; nothing in other builds.
#if defined(__SANITIZE_ADDRESS__)
#define BRIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BRIM_ASAN 1
#endif
#endif
#ifdef BRIM_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif
