#include "textflag.h"

// HUP, INT, QUIT, ABRT, TERM
#define DEADLY $0x4027

// hold is called with the first stack in DI. See hold.go.
TEXT ·hold(SB),NOSPLIT|NOFRAME,$0
	MOVQ	$1, ·holds(SB)
	MOVQ	DI, ·holdStack(SB)
	MOVQ	(DI), AX
	LEAQ	16(DI)(AX*8), SI	// the environment
	XORL	BX, BX
env:
	MOVQ	(SI), AX
	ADDQ	$8, SI
	TESTQ	AX, AX
	JEQ	aux
	MOVQ	$0x45485F54494E495A, CX	// ZINIT_HE
	CMPQ	CX, (AX)
	JNE	env
	MOVQ	8(AX), DX
	SHLQ	$8, DX
	MOVQ	$0x3D45474154495200, CX	// RITAGE=
	CMPQ	CX, DX
	JNE	env
	MOVL	$1, BX
	JMP	env
aux:	// the auxiliary vector follows
	TESTL	BX, BX
	JEQ	done
	MOVQ	(SI), AX
	TESTQ	AX, AX
	JEQ	done
	ADDQ	$16, SI
	CMPQ	AX, $31	// AT_EXECFN
	JNE	aux
	MOVQ	-8(SI), AX
	MOVQ	AX, ·holdName(SB)
	SUBQ	$32, SP
take:
	MOVQ	$0, 0(SP)	// do not wait
	MOVQ	$0, 8(SP)
	MOVQ	DEADLY, AX
	MOVQ	AX, 16(SP)
	LEAQ	16(SP), DI
	XORL	SI, SI
	MOVQ	SP, DX
	MOVL	$8, R10
	MOVL	$128, AX	// rt_sigtimedwait
	SYSCALL
	CMPQ	AX, $-4	// EINTR
	JEQ	take
	TESTQ	AX, AX
	JLE	handle
	MOVQ	AX, CX
	MOVL	$1, AX
	SHLQ	CX, AX
	ORQ	AX, ·heldSignals(SB)
	JMP	take
handle:
	LEAQ	·onHold(SB), AX
	MOVQ	AX, 0(SP)
	MOVQ	$0x04000000, 8(SP)	// SA_RESTORER
	LEAQ	·holdReturn(SB), AX
	MOVQ	AX, 16(SP)
	MOVQ	DEADLY, AX
	MOVQ	AX, 24(SP)
	MOVL	$15, R8
next:
	MOVQ	DEADLY, AX
	LEAL	-1(R8), CX
	BTQ	CX, AX
	JCC	other
	MOVQ	R8, DI
	MOVQ	SP, SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$13, AX	// rt_sigaction
	SYSCALL
other:
	SUBQ	$1, R8
	JNE	next
	ADDQ	$32, SP
done:
	RET

// onHold is called with the signal in DI, as C functions are.
TEXT ·onHold(SB),NOSPLIT|NOFRAME,$0
	MOVQ	DI, R9
	SUBQ	$24, SP
	MOVQ	DEADLY, AX
	MOVQ	AX, 0(SP)
	XORL	DI, DI	// SIG_BLOCK
	MOVQ	SP, SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$14, AX	// rt_sigprocmask
	SYSCALL
	MOVL	$39, AX	// getpid
	SYSCALL
	MOVQ	AX, R8
	MOVL	$186, AX	// gettid
	SYSCALL
	MOVQ	R8, DI
	MOVQ	AX, SI
	MOVQ	R9, DX
	MOVL	$234, AX	// tgkill: what waits for this thread survives the exec
	SYSCALL
	MOVQ	·holdName(SB), DI
	MOVQ	·holdStack(SB), AX
	LEAQ	8(AX), SI
	MOVQ	(AX), CX
	LEAQ	16(AX)(CX*8), DX
	MOVL	$59, AX	// execve
	SYSCALL
	ADDQ	$24, SP
	RET

TEXT ·holdReturn(SB),NOSPLIT|NOFRAME,$0
	MOVL	$15, AX	// rt_sigreturn
	SYSCALL
	INT	$3
