#pragma once
// An array on the stack whose elements are not set beforehand, for the few places where to fill it with zeros costs as
// much as its use. An element is to be assigned before it is read.
#include <cstddef>
#include <type_traits>

namespace brim {

template <class T, size_t kSize>
union RawArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
  RawArray() {}
  T& operator[](size_t i) { return at[i]; }
  T at[kSize];
};

}  // namespace brim
