import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createMemoryHistory, RouterProvider } from '@tanstack/react-router'
import { render } from '@testing-library/react'
import { makeRouter } from '@/routes/router'

/** The whole dashboard at an address, with nothing cached. */
export function renderAt(address: string) {
  const router = makeRouter(createMemoryHistory({ initialEntries: [address] }))
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  render(
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  )
  return router
}
