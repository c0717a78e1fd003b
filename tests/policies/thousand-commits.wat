;; LEFT commits of one entry.
(func $decide (result i32)
  (local $left i32)
  (local.set $left (i32.const LEFT))
  (call $stage_entry)
  (loop $more
    (call $ask)
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (call $committed))
