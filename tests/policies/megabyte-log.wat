;; One line of half a megabyte, and 600 of one kilobyte.
(func $decide (result i32)
  (local $left i32)
  (memory.fill (i32.const 0x10000) (i32.const 0x2e) (i32.const 0x80000))
  (call $log (i32.const 3) (i32.const 0x10000) (i32.const 0x80000))
  (local.set $left (i32.const 600))
  (loop $more
    (call $log (i32.const 2) (i32.const 0x10000) (i32.const 0x400))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (call $stage_entry) (call $ask) (call $committed))
