;; Asks for 64 MiB at a time, 128 times, and traps when it does not get them.
(func $decide (result i32)
  (local $left i32)
  (local.set $left (i32.const 128))
  (loop $more
    (if (i32.eq (memory.grow (i32.const 1024)) (i32.const -1)) (then (unreachable)))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (call $committed))
