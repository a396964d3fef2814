#include "textflag.h"

// func onMask()
// The kernel calls it as C would: DX is the ucontext, 296 bytes into which the mask is.
TEXT ·onMask(SB),NOSPLIT|NOFRAME,$0
	MOVQ	296(DX), AX
	ORQ	·maskAdd(SB), AX
	ANDQ	·maskKeep(SB), AX
	MOVQ	AX, 296(DX)
	LOCK
	INCL	·maskDone(SB)
	RET

// func onMaskPC() uintptr
TEXT ·onMaskPC(SB),NOSPLIT,$0-8
	MOVQ	$·onMask(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
