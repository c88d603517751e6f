// The same allocation stories with two ways of closing gaps: stock jemalloc, whose blocks are moved on the word of
// experimental.utilization, and Brim's pages. Prints one table; docs/defragmentation.md explains it.
//
// usage: defrag_compare [RUNS [PERCENT]]
// Of that many runs (3) the one that the machine disturbed least is shown; PERCENT (25) of the time is for closing
// gaps.
#include <jemalloc/jemalloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "base/monotonic.h"
#include "memory/account.h"
#include "memory/heap.h"
#include "memory/resident.h"

namespace brim {

namespace {

constexpr int64_t kSliceUs = 200;
constexpr int64_t kPurgeUs = 2000;
constexpr int kClockEvery = 16;  // blocks between two looks at the clock while blocks are moved

[[noreturn]] void Fail(const char* what) {
  fprintf(stderr, "defrag_compare: %s\n", what);
  abort();
}

int64_t CpuUs() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1'000'000 + t.tv_nsec / 1000;
}

// What every block begins with. The slot is the way back from a block to the one pointer to it, as an entry's key is.
struct Block {
  uint32_t slot;
  uint32_t bytes;

  size_t payload() const { return bytes - sizeof(Block); }
  uint8_t fill() const { return static_cast<uint8_t>(bytes * 31); }
};

// The live pointers, without holes. The memory is touched once, so that it is not counted into a story.
struct Slots {
  static constexpr size_t kMost = size_t{8} << 20;
  Block** blocks;
  size_t count = 0;

  Slots() {
    void* memory = mmap(nullptr, kMost * sizeof(Block*), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) Fail("no memory for the slots");
    blocks = static_cast<Block**>(memory);
  }
  void Add(Block* block) {
    if (count == kMost) Fail("too many blocks");
    block->slot = static_cast<uint32_t>(count);
    blocks[count++] = block;
  }
  Block* Remove(size_t slot) {
    Block* block = blocks[slot];
    blocks[slot] = blocks[--count];
    blocks[slot]->slot = static_cast<uint32_t>(slot);
    return block;
  }
  void Verify() const {
    for (size_t i = 0; i < count; i++) {
      auto* payload = reinterpret_cast<const uint8_t*>(blocks[i] + 1);
      if (blocks[i]->slot != i || payload[0] != blocks[i]->fill() || payload[blocks[i]->payload() - 1] != payload[0]) {
        Fail("a block was damaged");
      }
    }
  }
};

// ---- jemalloc, moved block by block as redis-server's active defragmentation does -----------------------------------

// A name of mallctl, looked up once; its numbers are filled in for each call.
class Control {
 public:
  explicit Control(const char* name) {
    if (mallctlnametomib(name, parts_, &length_) != 0) Fail(name);
  }
  Control& Set(size_t place, size_t number) {
    parts_[place] = number;
    return *this;
  }
  // Reads a figure that jemalloc holds as a T.
  template <class T>
  size_t Read() {
    T value{};
    size_t bytes = sizeof value;
    if (mallctlbymib(parts_, length_, &value, &bytes, nullptr, 0) != 0) Fail("a figure of jemalloc");
    return value;
  }
  void Call(void* out, size_t out_bytes, void* in, size_t in_bytes) {
    if (mallctlbymib(parts_, length_, out, &out_bytes, in, in_bytes) != 0) Fail("a call of jemalloc");
  }

 private:
  size_t parts_[8] = {};
  size_t length_ = 8;
};

class JemallocSide {
 public:
  explicit JemallocSide(bool moves) : moves_(moves), bins_(Control("arenas.nbins").Read<unsigned>()) {
    Free(Allocate(64));  // the thread has an arena from now on
    size_t arena = Control("thread.arena").Read<unsigned>();
    for (Control* control : {&slabs_, &nonfull_, &regions_}) control->Set(2, arena);
    Control block_bytes("arenas.bin.0.size");
    for (size_t i = 0; i < bins_.size(); i++) {
      bin_of_.resize(block_bytes.Set(2, i).Read<size_t>() / 8 + 1, static_cast<uint8_t>(i));
    }
  }

  static Block* Allocate(size_t bytes) { return static_cast<Block*>(mallocx(bytes, 0)); }
  static void Free(Block* block) { dallocx(block, 0); }
  static size_t Granted(Block* block) { return sallocx(block, 0); }
  static void GiveKept() {}
  uint64_t moved() const { return moved_; }

  // Moves blocks until the time is over; false when a whole walk found nothing to move.
  bool Slice(Slots& slots, int64_t deadline_us) {
    if (!moves_ || slots.count == 0) return false;
    ReadBins();
    do {
      if (cursor_ > slots.count) cursor_ = slots.count;
      if (cursor_ == 0) {
        bool idle = walked_ && moved_ == moved_before_walk_;
        walked_ = !idle;
        moved_before_walk_ = moved_;
        cursor_ = slots.count;
        if (idle) return false;
        ReadBins();
      }
      size_t batch = std::min(cursor_, kBatch);
      cursor_ -= batch;
      MoveSome(slots, cursor_, batch);
    } while (MonotonicUs() < deadline_us);
    return true;
  }

 private:
  static constexpr size_t kBatch = 64;
  struct Bin {
    size_t nonfull = 0;  // slabs
    size_t regions = 0;  // in use in them
  };
  struct SlabState {  // as experimental.utilization.batch_query tells it of each pointer
    size_t free;
    size_t regions;
    size_t bytes;
  };
  struct BlockState {  // as experimental.utilization.query tells it of one
    uint8_t* slab_in_use;
    size_t free, regions, bytes, bin_free, bin_regions;
  };

  // jemalloc copies the statistics of all bins at once: 10 us.
  void ReadBins() {
    uint64_t epoch = 1;
    epoch_.Call(&epoch, sizeof epoch, &epoch, sizeof epoch);
    for (size_t i = 0; i < bins_.size(); i++) {
      bins_[i].nonfull = nonfull_.Set(4, i).Read<size_t>();
      size_t full = slabs_.Set(4, i).Read<size_t>() - bins_[i].nonfull;
      bins_[i].regions = regions_.Set(4, i).Read<size_t>() - full * regions_a_slab_.Set(2, i).Read<uint32_t>();
    }
  }

  // redis-server's rule: a slab that is less full than the bin's slabs with gaps are on average, with an eighth on top,
  // and that is not the one new blocks come from.
  bool WorthMoving(Block* block, const SlabState& slab) {
    if (slab.free == 0 || slab.regions <= 1) return false;
    const Bin& bin = bins_[bin_of_[slab.bytes / slab.regions / 8]];
    if (bin.nonfull < 2 || (slab.regions - slab.free) * bin.nonfull > bin.regions + bin.regions / 8) return false;
    BlockState state;
    query_.Call(&state, sizeof state, &block, sizeof(void*));
    return reinterpret_cast<uint8_t*>(block) - state.slab_in_use >= static_cast<ptrdiff_t>(slab.bytes) ||
           reinterpret_cast<uint8_t*>(block) < state.slab_in_use;
  }

  void MoveSome(Slots& slots, size_t first, size_t count) {
    SlabState slabs[kBatch];
    batch_query_.Call(slabs, count * sizeof(SlabState), slots.blocks + first, count * sizeof(void*));
    for (size_t i = 0; i < count; i++) {
      Block*& block = slots.blocks[first + i];
      if (!WorthMoving(block, slabs[i])) continue;
      size_t bytes = block->bytes;
      void* fresh = mallocx(bytes, MALLOCX_TCACHE_NONE);
      memcpy(fresh, block, bytes);
      sdallocx(block, bytes, MALLOCX_TCACHE_NONE);
      block = static_cast<Block*>(fresh);
      moved_++;
    }
  }

  bool moves_;
  std::vector<Bin> bins_;
  std::vector<uint8_t> bin_of_;  // by a block's bytes, in eighths
  Control epoch_{"epoch"};
  Control slabs_{"stats.arenas.0.bins.0.curslabs"};
  Control nonfull_{"stats.arenas.0.bins.0.nonfull_slabs"};
  Control regions_{"stats.arenas.0.bins.0.curregs"};
  Control regions_a_slab_{"arenas.bin.0.nregs"};
  Control batch_query_{"experimental.utilization.batch_query"};
  Control query_{"experimental.utilization.query"};
  size_t cursor_ = 0;
  bool walked_ = false;
  uint64_t moved_ = 0;
  uint64_t moved_before_walk_ = 0;
};

// ---- Brim's pages ---------------------------------------------------------------------------------------------------

// As src/store/compaction.cc drives them: entries page by page, parts by a walk over all pointers.
class BrimSide {
 public:
  explicit BrimSide(BlockKind kind) : kind_(kind) {}

  Block* Allocate(size_t bytes) { return static_cast<Block*>(heap_.Allocate(bytes, MemoryCategory::kData, kind_)); }
  void Free(Block* block) { heap_.Free(block, block->bytes, MemoryCategory::kData); }
  static size_t Granted(Block* block) { return Heap::BlockSize(block); }
  void GiveKept() {
    for (PagePools* pools : {&heap_.own(), &Heap::shared().pools}) pools->Purge();
  }
  uint64_t moved() const { return moved_; }

  bool Slice(Slots& slots, int64_t deadline_us) {
    return kind_ == BlockKind::kEntry ? SlicePages(slots, deadline_us) : SliceWalk(slots, deadline_us);
  }

 private:
  static constexpr size_t kPagesAtOnce = 64;

  void Move(Slots& slots, Block* block) {
    Block* fresh = Allocate(block->bytes);
    memcpy(static_cast<void*>(fresh), block, block->bytes);
    Free(block);
    slots.blocks[fresh->slot] = fresh;
    moved_++;
  }

  // False when the time was over before the page was empty.
  bool Empty(Slots& slots, HeapPage* page, int64_t deadline_us) {
    uint8_t live[PagePools::kLiveMapBytes] = {};
    PagePools::LiveMap(page, live);
    uint32_t left = page->used;
    for (uint32_t i = 0, seen = 1; left > 0; i++) {
      if (!(live[i / 8] >> (i % 8) & 1)) continue;
      Move(slots, reinterpret_cast<Block*>(page->memory() + i * page->block_bytes));
      if (--left > 0 && seen++ % kClockEvery == 0 && MonotonicUs() >= deadline_us) return false;
    }
    return true;
  }

  bool SlicePages(Slots& slots, int64_t deadline_us) {
    for (PagePools* pools : {&heap_.own(), &Heap::shared().pools}) {
      for (;;) {
        HeapPage* page = pools->Evacuating(kind_);
        if (page == nullptr) {
          if (pools->BeginEvacuation(kind_, kPagesAtOnce) == 0) break;
          continue;
        }
        if (!Empty(slots, page, deadline_us) || MonotonicUs() >= deadline_us) return true;
      }
    }
    return false;
  }

  static bool WorthAWalk(const PagePools& pools) {
    return pools.gap_bytes(BlockKind::kPart) > pools.used_bytes(BlockKind::kPart) / 32 + (64 << 10);
  }

  // Downwards: what Slots moves into a hole comes from where the walk has been.
  bool SliceWalk(Slots& slots, int64_t deadline_us) {
    if (cursor_ == 0) {
      size_t pages = 0;
      for (PagePools* pools : {&heap_.own(), &Heap::shared().pools}) {
        if (WorthAWalk(*pools)) pages += pools->BeginEvacuation(kind_, SIZE_MAX);
      }
      if (pages == 0) return false;
      cursor_ = slots.count;
    }
    cursor_ = std::min(cursor_, slots.count);
    for (uint32_t seen = 1; cursor_ > 0; seen++) {
      Block* block = slots.blocks[--cursor_];
      if (Heap::WorthMoving(block)) Move(slots, block);
      if (seen % kClockEvery == 0 && MonotonicUs() >= deadline_us) break;
    }
    if (cursor_ == 0) {
      for (PagePools* pools : {&heap_.own(), &Heap::shared().pools}) pools->EndEvacuation(kind_);
    }
    return true;
  }

  BlockKind kind_;
  Heap heap_;
  size_t cursor_ = 0;
  uint64_t moved_ = 0;
};

// ---- the stories ----------------------------------------------------------------------------------------------------

constexpr size_t kShrinkBlocks = 2'000'000;
constexpr size_t kShrinkBytes = 107;
constexpr int64_t kShrinkCpuUs = 10'000'000;
constexpr double kShrinkBar = 1.15;

constexpr size_t kLimit = 300 << 20;
constexpr size_t kOverhead = 40;
struct Band {
  size_t least, most;
};
constexpr Band kBands[] = {{10, 200}, {500, 8000}, {30, 90}, {2000, 64000}, {16, 48}};
constexpr int kBandCount = 5;
constexpr int64_t kBandUs = 3'000'000;
constexpr int64_t kLookUs = 1000;
constexpr double kTolerated = 1.01;  // resident over live bytes from which on gaps are closed
int percent = 25;                    // of the time, for closing gaps
// What one thread of a server takes in at most; the paced story stays below both.
constexpr double kPacedBlocks = 0.2;  // a microsecond
constexpr double kPacedBytes = 200;

struct Figures {
  double shrink_before, shrink_after, shrink_cpu_s, shrink_to_bar_s, shrink_moved;
  struct {
    double peak, peaks[kBandCount], mean, asked, rate, share, moved_rate;
  } churn;
};

// The live blocks of a story and what they take. Besides moving blocks, every allocator gives its free pages back.
template <class Side>
class Keeper {
 public:
  explicit Keeper(Side& side) : side_(side) {
    for (int i = 0; i < 10'000; i++) Add(200);
    while (slots.count > 1000) RemoveAny();
    for (int i = 0; i < 50; i++) Slice();
    while (slots.count > 0) RemoveAny();
    base_ = ResidentBytes();
  }

  Block* Add(size_t bytes) {
    Block* block = side_.Allocate(bytes);
    block->bytes = static_cast<uint32_t>(bytes);
    memset(static_cast<void*>(block + 1), block->fill(), block->payload());
    slots.Add(block);
    live += side_.Granted(block);
    asked += bytes;
    return block;
  }
  void RemoveAny() {
    Block* block = slots.Remove(Random() % slots.count);
    live -= side_.Granted(block);
    asked -= block->bytes;
    side_.Free(block);
  }
  bool Slice() {
    int64_t now = MonotonicUs();
    bool more = side_.Slice(slots, now + kSliceUs);
    if (now >= next_purge_us_) {
      side_.GiveKept();
      PurgeAllocator();
      next_purge_us_ = MonotonicUs() + kPurgeUs;
    }
    return more;
  }
  double Resident() const { return static_cast<double>(ResidentBytes() - base_); }
  double ResidentOverLive() const { return Resident() / static_cast<double>(live); }
  // SplitMix64: every allocator lives through the same story.
  uint64_t Random() {
    uint64_t z = seed_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

  Slots slots;
  size_t live = 0;   // bytes granted
  size_t asked = 0;  // bytes asked for

 private:
  Side& side_;
  uint64_t seed_ = 20261121;
  int64_t next_purge_us_ = 0;
  size_t base_ = 0;  // when code, slots and the allocator's own state are there
};

template <class Side>
void Shrink(Side& side, Figures* figures) {
  Keeper<Side> keeper(side);
  uint64_t moved_before = side.moved();
  while (keeper.slots.count < kShrinkBlocks) keeper.Add(kShrinkBytes);
  while (keeper.slots.count > kShrinkBlocks / 10) keeper.RemoveAny();
  side.GiveKept();
  PurgeAllocator();
  figures->shrink_before = keeper.ResidentOverLive();
  int64_t spent_us = 0;
  for (bool more = true; more && spent_us < kShrinkCpuUs;) {
    int64_t start = CpuUs();
    more = keeper.Slice();
    spent_us += CpuUs() - start;
    if (figures->shrink_to_bar_s == 0 && keeper.ResidentOverLive() <= kShrinkBar) {
      figures->shrink_to_bar_s = static_cast<double>(spent_us) / 1e6;
    }
  }
  PurgeAllocator();
  figures->shrink_after = keeper.ResidentOverLive();
  figures->shrink_cpu_s = static_cast<double>(spent_us) / 1e6;
  figures->shrink_moved = static_cast<double>(side.moved() - moved_before);
  keeper.slots.Verify();
}

template <class Side>
class Churn {
 public:
  Churn(Side& side, bool paced) : side_(side), keeper_(side), paced_(paced) {}

  void Run(Figures* figures) {
    figures_ = figures;
    while (keeper_.live < kLimit) AddOne(kBands[0]);
    uint64_t moved_before = side_.moved();
    int64_t start = MonotonicUs();
    for (int band = 0; band < kBandCount; band++) RunBand(band, start + (band + 1) * kBandUs);
    auto seconds = static_cast<double>(MonotonicUs() - start) / 1e6;
    figures->churn.mean = residents_ / looks_ / kLimit;
    figures->churn.asked = askeds_ / looks_ / kLimit;
    figures->churn.rate = static_cast<double>(replaced_) / seconds;
    figures->churn.share = static_cast<double>(spent_us_) / 1e6 / seconds;
    figures->churn.moved_rate = static_cast<double>(side_.moved() - moved_before) / seconds;
    keeper_.slots.Verify();
  }

 private:
  size_t AddOne(const Band& band) {
    size_t bytes = kOverhead + band.least + keeper_.Random() % (band.most - band.least + 1);
    keeper_.Add(bytes);
    return bytes;
  }

  void RunBand(int band, int64_t end_us) {
    for (int64_t now = MonotonicUs(); now < end_us; now = MonotonicUs()) {
      for (int i = 0; static_cast<double>(now) >= due_us_ && i < kClockEvery; i++) {
        size_t bytes = AddOne(kBands[band]);
        while (keeper_.live > kLimit) keeper_.RemoveAny();
        replaced_++;
        if (paced_) Wait(now, bytes);
      }
      Turn(band);
    }
  }

  // What could not be kept up with for 10 ms is not made up for.
  void Wait(int64_t now, size_t bytes) {
    due_us_ = std::max(due_us_, static_cast<double>(now - 10'000));
    due_us_ += std::max(1 / kPacedBlocks, static_cast<double>(bytes) / kPacedBytes);
  }

  void Turn(int band) {
    int64_t now = MonotonicUs();
    if (now >= next_look_us_) {
      next_look_us_ = now + kLookUs;
      double resident = keeper_.Resident();
      residents_ += resident;
      askeds_ += static_cast<double>(keeper_.asked);
      looks_++;
      figures_->churn.peaks[band] = std::max(figures_->churn.peaks[band], resident / kLimit);
      figures_->churn.peak = std::max(figures_->churn.peak, resident / kLimit);
      pressing_ = resident > kTolerated * static_cast<double>(keeper_.live);
    }
    if (!pressing_ || now < next_slice_us_) return;
    keeper_.Slice();
    int64_t end = MonotonicUs();
    spent_us_ += end - now;
    next_slice_us_ = end + (end - now) * (100 - percent) / percent;
  }

  Side& side_;
  Keeper<Side> keeper_;
  Figures* figures_ = nullptr;
  bool paced_;
  double due_us_ = 0;
  bool pressing_ = false;
  int64_t next_look_us_ = 0;
  int64_t next_slice_us_ = 0;
  int64_t spent_us_ = 0;
  uint64_t replaced_ = 0;
  double residents_ = 0, askeds_ = 0, looks_ = 0;
};

// ---- processes and the table ----------------------------------------------------------------------------------------

enum Contestant { kJemallocStill, kJemalloc, kEntries, kParts, kContestants };
constexpr const char* kTitles[kContestants] = {"jemalloc, nothing moved", "jemalloc, batch_query", "Brim, by pages",
                                               "Brim, by a walk"};

enum Story { kShrink, kChurn, kPacedChurn, kStories };

template <class Side>
void Tell(Story story, Side&& side, Figures* figures) {
  if (story == kShrink) {
    Shrink(side, figures);
  } else {
    Churn<Side>(side, story == kPacedChurn).Run(figures);
  }
}

// One story in a process of its own.
Figures RunApart(Story story, Contestant who, Figures* shared) {
  *shared = Figures{};
  pid_t child = fork();
  if (child < 0) Fail("fork");
  if (child == 0) {
    if (who == kJemallocStill || who == kJemalloc) {
      Tell(story, JemallocSide(who == kJemalloc), shared);
    } else {
      Tell(story, BrimSide(who == kEntries ? BlockKind::kEntry : BlockKind::kPart), shared);
    }
    _exit(0);
  }
  int status;
  if (waitpid(child, &status, 0) != child || status != 0) Fail("a story did not end well");
  return *shared;
}

// The run that the machine disturbed least.
bool Better(Story story, const Figures& a, const Figures& b) {
  if (story == kShrink) return a.shrink_cpu_s < b.shrink_cpu_s;
  return story == kChurn ? a.churn.rate > b.churn.rate : a.churn.peak < b.churn.peak;
}

using Columns = Figures[kContestants];

void Row(const char* story, const char* title, const Columns& all, double (*figure)(const Figures&),
         const char* format) {
  printf("| %s: %s |", story, title);
  for (const Figures& one : all) {
    double value = figure(one);
    if (value == 0) {
      printf(" - |");
    } else {
      printf(format, value);
    }
  }
  printf("\n");
}

void PrintShrink(const char* story, const Columns& all) {
  Row(
      story, "resident / live before", all, [](const Figures& f) { return f.shrink_before; }, " %.2f |");
  Row(
      story, "resident / live after", all, [](const Figures& f) { return f.shrink_after; }, " %.3f |");
  Row(
      story, "CPU s until it was 1.15", all, [](const Figures& f) { return f.shrink_to_bar_s; }, " %.3f |");
  Row(
      story, "CPU s in all", all, [](const Figures& f) { return f.shrink_cpu_s; }, " %.3f |");
  Row(
      story, "blocks moved", all, [](const Figures& f) { return f.shrink_moved; }, " %.0f |");
}

void PrintChurn(const char* story, const Columns& all) {
  Row(
      story, "peak resident / limit", all, [](const Figures& f) { return f.churn.peak; }, " %.3f |");
  Row(
      story, "peak, 10-200 bytes", all, [](const Figures& f) { return f.churn.peaks[0]; }, " %.3f |");
  Row(
      story, "peak, 500-8000 bytes", all, [](const Figures& f) { return f.churn.peaks[1]; }, " %.3f |");
  Row(
      story, "peak, 30-90 bytes", all, [](const Figures& f) { return f.churn.peaks[2]; }, " %.3f |");
  Row(
      story, "peak, 2000-64000 bytes", all, [](const Figures& f) { return f.churn.peaks[3]; }, " %.3f |");
  Row(
      story, "peak, 16-48 bytes", all, [](const Figures& f) { return f.churn.peaks[4]; }, " %.3f |");
  Row(
      story, "mean resident / limit", all, [](const Figures& f) { return f.churn.mean; }, " %.3f |");
  Row(
      story, "mean bytes asked for / limit", all, [](const Figures& f) { return f.churn.asked; }, " %.3f |");
  Row(
      story, "blocks replaced a second", all, [](const Figures& f) { return f.churn.rate; }, " %.0f |");
  Row(
      story, "time spent closing gaps", all, [](const Figures& f) { return 100 * f.churn.share; }, " %.1f %% |");
  Row(
      story, "blocks moved a second", all, [](const Figures& f) { return f.churn.moved_rate; }, " %.0f |");
}

int Main(int runs) {
  void* memory = mmap(nullptr, sizeof(Figures), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Fail("no shared memory");
  Columns best[kStories] = {};
  for (int run = 0; run < runs; run++) {
    for (int i = 0; i < int{kStories} * kContestants; i++) {
      auto story = static_cast<Story>(i / kContestants);
      auto who = static_cast<Contestant>(i % kContestants);
      Figures figures = RunApart(story, who, static_cast<Figures*>(memory));
      if (run == 0 || Better(story, figures, best[story][who])) best[story][who] = figures;
    }
    fprintf(stderr, "run %d of %d is over\n", run + 1, runs);
  }
  printf("| |");
  for (const char* title : kTitles) printf(" %s |", title);
  printf("\n|---|--:|--:|--:|--:|\n");
  PrintShrink("shrink", best[kShrink]);
  PrintChurn("churn at full speed", best[kChurn]);
  PrintChurn("churn, paced", best[kPacedChurn]);
  return 0;
}

}  // namespace

}  // namespace brim

int main(int argc, char** argv) {
  if (argc > 2) brim::percent = std::clamp(atoi(argv[2]), 1, 99);
  return brim::Main(argc > 1 ? std::max(1, atoi(argv[1])) : 3);
}
