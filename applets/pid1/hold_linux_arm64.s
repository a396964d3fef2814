#include "textflag.h"

// HUP, INT, QUIT, ABRT, TERM
#define DEADLY $0x4027

// hold is called with the first stack in R0. See hold.go.
TEXT ·hold(SB),NOSPLIT|NOFRAME,$0
	MOVD	$1, R1
	MOVD	R1, ·holds(SB)
	MOVD	R0, ·holdStack(SB)
	MOVD	(R0), R1
	ADD	$16, R0, R2
	ADD	R1<<3, R2, R2	// the environment
	MOVD	$0, R3
env:
	MOVD	(R2), R4
	ADD	$8, R2
	CBZ	R4, aux
	MOVD	(R4), R5
	MOVD	$0x45485F54494E495A, R6	// ZINIT_HE
	CMP	R6, R5
	BNE	env
	MOVD	8(R4), R5
	LSL	$8, R5, R5
	MOVD	$0x3D45474154495200, R6	// RITAGE=
	CMP	R6, R5
	BNE	env
	MOVD	$1, R3
	B	env
aux:	// the auxiliary vector follows
	CBZ	R3, done
	MOVD	(R2), R4
	CBZ	R4, done
	ADD	$16, R2
	CMP	$31, R4	// AT_EXECFN
	BNE	aux
	MOVD	-8(R2), R4
	MOVD	R4, ·holdName(SB)
	SUB	$32, RSP
take:
	MOVD	ZR, 0(RSP)	// do not wait
	MOVD	ZR, 8(RSP)
	MOVD	DEADLY, R0
	MOVD	R0, 16(RSP)
	ADD	$16, RSP, R0
	MOVD	ZR, R1
	MOVD	RSP, R2
	MOVD	$8, R3
	MOVD	$137, R8	// rt_sigtimedwait
	SVC
	CMN	$4, R0	// EINTR
	BEQ	take
	CMP	$0, R0
	BLE	handle
	MOVD	$1, R1
	LSL	R0, R1, R1
	MOVD	·heldSignals(SB), R2
	ORR	R1, R2
	MOVD	R2, ·heldSignals(SB)
	B	take
handle:
	MOVD	$·onHold(SB), R0
	MOVD	R0, 0(RSP)
	MOVD	ZR, 8(RSP)	// the kernel knows how to return
	MOVD	ZR, 16(RSP)
	MOVD	DEADLY, R0
	MOVD	R0, 24(RSP)
	MOVD	$15, R9
next:
	MOVD	DEADLY, R0
	SUB	$1, R9, R1
	LSR	R1, R0, R0
	TBZ	$0, R0, other
	MOVD	R9, R0
	MOVD	RSP, R1
	MOVD	ZR, R2
	MOVD	$8, R3
	MOVD	$134, R8	// rt_sigaction
	SVC
other:
	SUB	$1, R9
	CBNZ	R9, next
	ADD	$32, RSP
done:
	RET

// onHold is called with the signal in R0, as C functions are.
TEXT ·onHold(SB),NOSPLIT|NOFRAME,$0
	MOVD	R0, R9
	SUB	$16, RSP
	MOVD	DEADLY, R0
	MOVD	R0, 0(RSP)
	MOVD	ZR, R0	// SIG_BLOCK
	MOVD	RSP, R1
	MOVD	ZR, R2
	MOVD	$8, R3
	MOVD	$135, R8	// rt_sigprocmask
	SVC
	MOVD	$172, R8	// getpid
	SVC
	MOVD	R0, R10
	MOVD	$178, R8	// gettid
	SVC
	MOVD	R0, R1
	MOVD	R10, R0
	MOVD	R9, R2
	MOVD	$131, R8	// tgkill: what waits for this thread survives the exec
	SVC
	MOVD	·holdName(SB), R0
	MOVD	·holdStack(SB), R3
	ADD	$8, R3, R1
	MOVD	(R3), R4
	ADD	$16, R3, R2
	ADD	R4<<3, R2, R2
	MOVD	$221, R8	// execve
	SVC
	ADD	$16, RSP
	RET
