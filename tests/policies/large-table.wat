(table $table 1 funcref)
(func $decide (result i32)
  (if (i32.eq (table.grow $table (ref.null func) (i32.const 10000000)) (i32.const -1)) (then (unreachable)))
  (call $committed))
