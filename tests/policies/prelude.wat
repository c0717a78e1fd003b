;; What the hostile policies share: the interface's functions, memory, and the honest answer, piece by piece.
;; tests/policy/guest.rs puts a policy's file between this and the export that calls its $decide.
;; All of them are asked about task `t`, completed, at 2026-01-21T10:05:02.000123Z.
(import "chiffon:audit/filesystem@0.1.0" "read" (func $read (param $path i32) (param $path_len i32) (param $ret i32)))
(import "chiffon:audit/filesystem@0.1.0" "write-new"
  (func $write_new (param $path i32) (param $path_len i32) (param $bytes i32) (param $bytes_len i32) (param $ret i32)))
(import "chiffon:audit/git@0.1.0" "commit" (func $commit (param $subject i32) (param $subject_len i32) (param $ret i32)))
(import "chiffon:audit/log@0.1.0" "write" (func $log (param $level i32) (param $text i32) (param $text_len i32)))
;; IMPORTS

(memory (export "memory") 16)
(global $heap (mut i32) (i32.const 0x10000))

;; A bump allocator: an instance lives for one call.
(func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
  (global.set $heap (i32.add (local.get $at) (local.get $size)))
  (local.get $at))

(data (i32.const 0x10) ".audit/tasks/t.json")
(data (i32.const 0x40) "audit: task t completed at 2026-01-21T10:05:02.000123Z")
(data (i32.const 0x100) "{\"task_id\":\"t\",\"status\":\"completed\",\"timestamp\":\"2026-01-21T10:05:02.000123Z\"}\n")

;; Stages bytes as this task's entry. The result area of every function called is at 0x800.
(func $stage (param $bytes i32) (param $bytes_len i32)
  (call $write_new (i32.const 0x10) (i32.const 19) (local.get $bytes) (local.get $bytes_len) (i32.const 0x800)))
(func $stage_entry (call $stage (i32.const 0x100) (i32.const 79)))
(func $ask (call $commit (i32.const 0x40) (i32.const 54) (i32.const 0x800)))

;; The answers, at 0x900.
(func $committed (result i32) (i64.store (i32.const 0x900) (i64.const 0)) (i32.const 0x900))
(func $already_recorded (result i32)
  (i64.store (i32.const 0x900) (i64.const 0))
  (i32.store8 (i32.const 0x904) (i32.const 1))
  (i32.const 0x900))
;; Kind 0 is `refused` and takes a list of violations, 1 is `conflicting` and 2 `unavailable`; they take a text.
(func $error (param $kind i32) (param $at i32) (param $len i32) (result i32)
  (i32.store (i32.const 0x900) (i32.const 1))
  (i32.store (i32.const 0x904) (local.get $kind))
  (i32.store (i32.const 0x908) (local.get $at))
  (i32.store (i32.const 0x90c) (local.get $len))
  (i32.const 0x900))
