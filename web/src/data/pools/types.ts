import type { WirePool } from '@/wire/schemas'

export type Pool = Omit<WirePool, 'instances'>
