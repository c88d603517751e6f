#pragma once
// Work on the append-only file's folder that waits for the disk: a thread of its own does it, which sees only what is
// here. One at a time (Aof::RunJob, EndJob); while it is done nobody else writes the manifest.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "persist/aof_manifest.h"
#include "persist/append_file.h"
#include "persist/rdb_saver.h"

namespace brim {

struct AofDiskJob {
  enum class Kind : uint8_t {
    kPrepare,  // a rewrite: its folder, the next increment, the base's file
    kPublish,  // the base is whole: the manifest that names it
    kForget,   // old files are deleted: the manifest that does not name them
  };
  Kind kind;
  std::string parent;  // the folder that holds it
  std::string folder;
  std::string manifest_name;  // of its file
  AofManifest manifest;       // to be saved
  bool saves = true;          // the manifest
  std::string increment;      // kPrepare: the name of the one to be made; empty: none is
  std::string base;           // kPrepare: the name of the base to come
  bool sync_first = false;    // kPublish: what was recorded so far is to be on the disk before

  // What came of it; read when `done`.
  AppendFile next;                  // the increment, empty
  std::unique_ptr<RdbSaver> saver;  // with its file open
  bool tried_to_save = false;
  bool good = false;
  std::string error;

  std::atomic<bool> done{false};
  std::thread thread;

  // Does it; may wait for the disk. No lock.
  void Run();
};

}  // namespace brim
