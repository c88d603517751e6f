#pragma once
// Quicksort of as much of an array as is wanted, with an outcome that is fixed where elements compare equal too: that
// of Bentley and McIlroy, Engineering a Sort Function (1993), as the C library of 4.4BSD has it and redis-server uses
// it for the first elements of a long result.
#include <algorithm>
#include <cstddef>
#include <utility>

namespace brim {

template <class T, class Compare>
class PartialQuicksort {
 public:
  // `compare` answers less than, equal to or more than zero.
  PartialQuicksort(T* elements, size_t wanted, Compare compare)
      : elements_(elements), wanted_(wanted), compare_(compare) {}

  // Sorts [begin, end) so far that what lies among the first `wanted` elements is right.
  void Sort(size_t begin, size_t end) {
    while (begin < wanted_) {
      size_t size = end - begin;
      if (size < 7) {
        InsertionSort(begin, end);
        return;
      }
      std::swap(elements_[begin], elements_[Pivot(begin, size)]);
      Parts parts = Partition(begin, end);
      if (parts.below > 1) Sort(begin, begin + parts.below);
      if (parts.above <= 1) return;
      begin = end - parts.above;
    }
  }

 private:
  // How many elements are less, and how many more than the pivot.
  struct Parts {
    size_t below;
    size_t above;
  };

  int Order(size_t a, size_t b) { return compare_(elements_[a], elements_[b]); }

  void InsertionSort(size_t begin, size_t end) {
    for (size_t i = begin + 1; i < end; i++) {
      for (size_t k = i; k > begin && Order(k - 1, k) > 0; k--) std::swap(elements_[k - 1], elements_[k]);
    }
  }

  size_t MiddleOf(size_t a, size_t b, size_t c) {
    if (Order(a, b) < 0) return Order(b, c) < 0 ? b : Order(a, c) < 0 ? c : a;
    return Order(b, c) > 0 ? b : Order(a, c) < 0 ? a : c;
  }

  // The middle one, of three or of three times three.
  size_t Pivot(size_t begin, size_t size) {
    size_t middle = begin + size / 2;
    if (size <= 7) return middle;
    size_t low = begin;
    size_t high = begin + size - 1;
    if (size > 40) {
      size_t step = size / 8;
      low = MiddleOf(low, low + step, low + 2 * step);
      middle = MiddleOf(middle - step, middle, middle + step);
      high = MiddleOf(high - 2 * step, high - step, high);
    }
    return MiddleOf(low, middle, high);
  }

  void SwapBlocks(size_t a, size_t b, size_t count) {
    std::swap_ranges(elements_ + a, elements_ + a + count, elements_ + b);
  }

  // The pivot stands first. Those equal to it gather at both ends and are then brought to the middle.
  Parts Partition(size_t begin, size_t end) {
    size_t equal_low = begin + 1;
    size_t low = begin + 1;
    size_t high = end;  // one past what is looked at from above
    size_t equal_high = end;
    while (true) {
      for (int order; low < high && (order = Order(low, begin)) <= 0; low++) {
        if (order == 0) std::swap(elements_[equal_low++], elements_[low]);
      }
      for (int order; low < high && (order = Order(high - 1, begin)) >= 0; high--) {
        if (order == 0) std::swap(elements_[high - 1], elements_[--equal_high]);
      }
      if (low >= high) break;
      std::swap(elements_[low++], elements_[--high]);
    }
    Parts parts{low - equal_low, equal_high - high};
    size_t count = std::min(equal_low - begin, parts.below);
    SwapBlocks(begin, low - count, count);
    count = std::min(parts.above, end - equal_high);
    SwapBlocks(low, end - count, count);
    return parts;
  }

  T* elements_;
  size_t wanted_;
  Compare compare_;
};

}  // namespace brim
