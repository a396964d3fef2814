// Package initramfs writes bootable images for the kernel's initramfs: a cpio archive
// of the format newc, compressed with gzip, as the kernel's buffer-format.rst
// describes it.
//
// An image holds this binary as /bin/zinit, with the names of its applets in /bin and
// /sbin, /init as a link to it, the two device nodes that a first process needs
// (/dev/console, /dev/null), empty directories to mount on, and what was asked for:
// service files and other files. It is made without privileges and without other
// programs, and the same input gives the same bytes.
//
//	Tree    what is to be in it, by path; parents are made as they are needed
//	Write   a Tree as an archive
package initramfs
