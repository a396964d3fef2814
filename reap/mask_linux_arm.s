#include "textflag.h"

// func onMask()
// The kernel calls it as C would: R2 is the ucontext, 104 bytes into which the mask is.
TEXT ·onMask(SB),NOSPLIT|NOFRAME,$0
	MOVW	$·maskAdd(SB), R4
	MOVW	$·maskKeep(SB), R5
	MOVW	104(R2), R3
	MOVW	0(R4), R1
	ORR	R1, R3
	MOVW	0(R5), R1
	AND	R1, R3
	MOVW	R3, 104(R2)
	MOVW	108(R2), R3
	MOVW	4(R4), R1
	ORR	R1, R3
	MOVW	4(R5), R1
	AND	R1, R3
	MOVW	R3, 108(R2)
	MOVW	$·maskDone(SB), R3
again:
	LDREX	(R3), R4
	ADD	$1, R4
	STREX	R4, (R3), R5
	CMP	$0, R5
	BNE	again
	DMB	MB_ISH
	RET

// func onMaskPC() uintptr
TEXT ·onMaskPC(SB),NOSPLIT,$0-4
	MOVW	$·onMask(SB), R0
	MOVW	R0, ret+0(FP)
	RET
