;; Stages ten thousand files of a mebibyte, each but the first a second one for its task.
(func $decide (result i32)
  (local $left i32)
  (drop (memory.grow (i32.const 16)))
  (local.set $left (i32.const 10000))
  (loop $more
    (call $stage (i32.const 0x10000) (i32.const 0x100000))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (call $ask) (call $committed))
