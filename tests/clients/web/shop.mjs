// An order over gRPC-Web by the client library that browsers use, run in Node.
//
// Usage: node shop.mjs http://HOST:PORT DESCRIPTORS, where DESCRIPTORS is the output of `buf build -o`.

import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

const [baseUrl, descriptors] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));

let token = "";
const authorize = (next) => (request) => {
  if (token) request.header.set("authorization", `Bearer ${token}`);
  return next(request);
};
const transport = createGrpcWebTransport({ baseUrl, interceptors: [authorize] });
const client = (name) => createClient(registry.getService(name), transport);

function check(condition, what) {
  if (!condition) throw new Error(`FAILED: ${what}`);
  console.log(`ok: ${what}`);
}

async function refused(promise, code, what) {
  try {
    await promise;
  } catch (error) {
    check(ConnectError.from(error).code === code, `${what}: ${Code[ConnectError.from(error).code]}`);
    return;
  }
  throw new Error(`FAILED: ${what} was allowed`);
}

const auth = client("hub.identity.v1.AuthService");
const catalog = client("hub.catalog.v1.CatalogService");
const cart = client("hub.cart.v1.CartService");
const orders = client("hub.orders.v1.OrderService");

const session = await auth.createGuestSession({});
check(session.user.role === "guest", "a guest session opens");
token = session.accessToken;

const found = await catalog.searchProducts({ q: "snwboard" });
check(found.total > 0n, `a typo still finds ${found.total} products`);

const filled = await cart.addCartItem({ productId: "SLED-TOT", quantity: 2n });
check(filled.items[0].quantity === 2n, "the cart has two");

const order = await orders.createOrder({
  shippingAddress: {
    name: "Web Shopper", line1: "7 Browser Row", city: "Denver", state: "CO",
    postalCode: "80202", country: "US", phone: "+1 303 555 0122",
  },
  shippingMethod: 2,
  paymentMethod: "pm_card_visa",
  email: "web@hub.test",
});
check(order.orderNumber.startsWith("HPH-"), `order ${order.orderNumber} is placed`);

const PROCESSING = 4;
let reached = false;
const following = new AbortController();
const events = orders.streamOrderEvents({ orderId: order.orderId }, { signal: following.signal });
for await (const event of events) {
  console.log(`    ${event.eventType}: ${event.message}`);
  if (event.status === PROCESSING) {
    reached = true;
    break;
  }
}
// The stream goes on until the parcel arrives; whoever has seen enough hangs up.
following.abort();
check(reached, "the stream sees the order reach processing");

await refused(cart.addCartItem({ productId: "SLED-TOT", quantity: -5n }), Code.InvalidArgument, "quantity -5");
await refused(orders.listOrders({}), Code.PermissionDenied, "a guest lists everybody's orders");
