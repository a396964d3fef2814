#include "textflag.h"

// func onMask()
// The kernel calls it as C would: R2 is the ucontext, 40 bytes into which the mask is.
TEXT ·onMask(SB),NOSPLIT|NOFRAME,$0
	MOVD	40(R2), R3
	MOVD	·maskAdd(SB), R4
	ORR	R4, R3
	MOVD	·maskKeep(SB), R4
	AND	R4, R3
	MOVD	R3, 40(R2)
	MOVD	$·maskDone(SB), R3
again:
	LDAXRW	(R3), R4
	ADDW	$1, R4
	STLXRW	R4, (R3), R5
	CBNZ	R5, again
	RET

// func onMaskPC() uintptr
TEXT ·onMaskPC(SB),NOSPLIT,$0-8
	MOVD	$·onMask(SB), R0
	MOVD	R0, ret+0(FP)
	RET
