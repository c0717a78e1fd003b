;; A policy that never answers: the core module of looping.wasm, which the demo shows being stopped by its fuel limit.
;;
;; looping.wasm is this module, wrapped once by wit-component for the world `policy` of wit/, and committed so that building
;; the program needs no WebAssembly tools:
;;
;;     wasm-tools component embed ../../wit --world policy looping.wat -o core.wasm
;;     wasm-tools component new core.wasm -o looping.wasm
(module
  (memory (export "memory") 1)
  ;; Where the host puts the outcome: anywhere, since nobody reads it.
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (i32.const 1024))
  (func (export "chiffon:audit/recorder@0.1.0#commit-task-outcome") (param i32) (result i32)
    (loop $for_ever
      (br $for_ever))
    (unreachable)))
