;; What every guest in this folder begins with: the contract's imports, an allocator, and a way to ask.
;; The layouts are those of the canonical ABI for wit/system.wit.
(import "pluto:system/io@0.3.0" "send" (func $send (param i32 i32)))
(import "pluto:system/io@0.3.0" "receive" (func $receive (param i32)))
(import "pluto:system/io@0.3.0" "time" (func $time (result i64)))
(import "pluto:system/io@0.3.0" "log" (func $log (param i32 i32 i32)))

;; 0: outcome; 16: the list that `receive` returns; 64: a submission; 1024: what a guest puts there; 65536: the heap.
(memory (export "memory") 2)
(global $heap (mut i32) (i32.const 65536))
(global $id (mut i64) (i64.const 0))

;; Never frees. Grows the memory when it has to.
(func $realloc (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
  (global.set $heap (i32.add (local.get $at) (local.get $size)))
  (block $fits
    (loop $grow
      (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
      (unreachable)))
  (local.get $at))

;; The outcome `exit`.
(func $exit (param $code i32) (result i32)
  (i32.store8 (i32.const 0) (i32.const 0))
  (i32.store8 (i32.const 1) (local.get $code))
  (i32.const 0))

;; Writes the submission of a request whose payload is three words.
(func $prepare (param $kind i32) (param $a i64) (param $b i64) (param $c i64)
  (global.set $id (i64.add (global.get $id) (i64.const 1)))
  (i64.store (i32.const 64) (global.get $id))
  (i32.store8 (i32.const 72) (local.get $kind))
  (i64.store (i32.const 80) (local.get $a))
  (i64.store (i32.const 88) (local.get $b))
  (i64.store (i32.const 96) (local.get $c)))

;; Sends a request.
(func $submit (param $kind i32) (param $a i64) (param $b i64) (param $c i64)
  (call $prepare (local.get $kind) (local.get $a) (local.get $b) (local.get $c))
  (call $send (i32.const 64) (i32.const 1)))

;; Receives; the address of the first answer.
(func $answer (result i32)
  (call $receive (i32.const 16))
  (i32.load (i32.const 16)))

;; What the first answer says: the kind of the reply; for `failed` 100 and the error's number.
(func $verdict (param $answer i32) (result i32)
  (local $kind i32)
  (local.set $kind (i32.load8_u offset=8 (local.get $answer)))
  (if (result i32) (i32.eq (local.get $kind) (i32.const 11))
    (then (i32.add (i32.const 100) (i32.load8_u offset=16 (local.get $answer))))
    (else (local.get $kind))))

;; Asks and waits; what the answer says.
(func $ask (param $kind i32) (param $a i64) (param $b i64) (param $c i64) (result i32)
  (call $submit (local.get $kind) (local.get $a) (local.get $b) (local.get $c))
  (call $verdict (call $answer)))

;; A list's payload word: its address 1024, and its length.
(func $list (param $length i32) (result i64)
  (i64.or (i64.const 1024) (i64.shl (i64.extend_i32_u (local.get $length)) (i64.const 32))))

;; Opens the path of that length at 1024; what the answer says.
(func $open (param $length i32) (result i32)
  (call $ask (i32.const 5) (call $list (local.get $length)) (i64.const 1) (i64.const 0)))
