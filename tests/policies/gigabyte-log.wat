;; A gigabyte of log, a megabyte a line.
(func $decide (result i32)
  (local $left i32)
  (drop (memory.grow (i32.const 16)))
  (memory.fill (i32.const 0x10000) (i32.const 0x2e) (i32.const 0x100000))
  (local.set $left (i32.const 1024))
  (loop $more
    (call $log (i32.const 2) (i32.const 0x10000) (i32.const 0x100000))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (call $stage_entry) (call $ask) (call $committed))
