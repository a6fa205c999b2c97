#!/usr/bin/env python3
"""An order through plain gRPC by a client that knows nothing but the address.

Every message type comes from server reflection, so this also proves that reflection is complete. Usage:
grpc_client.py HOST:PORT
"""

import sys
import uuid

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status


class Hub:
    """Calls any RPC by name with the types that the server describes."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def method(self, service, name):
        return self.pool.FindServiceByName(service).FindMethodByName(name)

    def call(self, service, name, fields=None, token=None, stream=False):
        method = self.method(service, name)
        request_type = message_factory.GetMessageClass(method.input_type)
        response_type = message_factory.GetMessageClass(method.output_type)
        path = f"/{service}/{name}"
        kind = self.channel.unary_stream if stream else self.channel.unary_unary
        rpc = kind(
            path,
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        metadata = [("authorization", f"Bearer {token}")] if token else []
        return rpc(request_type(**(fields or {})), metadata=metadata, timeout=60)


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


def refused(call, code, what):
    try:
        call()
    except grpc.RpcError as error:
        check(error.code() == code, f"{what}: {error.code().name}")
        return error
    sys.exit(f"FAILED: {what} was allowed")


def main(address):
    hub = Hub(address)
    services = set(hub.database.get_services())
    for name in ("hub.orders.v1.OrderService", "grpc.health.v1.Health"):
        check(name in services, f"reflection lists {name}")

    health = health_pb2_grpc.HealthStub(hub.channel)
    for name in ("", "hub.orders.v1.OrderService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
        check(answer.status == answer.SERVING, f"health of {name or 'the whole'} is SERVING")

    session = hub.call("hub.identity.v1.AuthService", "SignUp", {
        "name": "Grace Reflector",
        "email": f"grpc-{uuid.uuid4()}@hub.test",
        "password": "quiet-larch-hollow-7",
    })
    token = session.access_token
    check(session.user.role == "customer", "sign-up gives a customer")

    found = hub.call("hub.catalog.v1.CatalogService", "SearchProducts", {"q": "snwboard"})
    check(found.total > 0, f"a typo still finds {found.total} products")
    product = hub.call("hub.catalog.v1.CatalogService", "GetProduct", {"product_id": "SLED-TOT"})
    cart = hub.call("hub.cart.v1.CartService", "AddCartItem",
                    {"product_id": product.product_id, "quantity": 1}, token)
    check(cart.items[0].quantity == 1, "the cart has the product")

    address_fields = {
        "name": "Grace Reflector", "line1": "5 Proto Lane", "city": "Denver", "state": "CO",
        "postal_code": "80202", "country": "US", "phone": "+1 303 555 0111",
    }
    order = hub.call("hub.orders.v1.OrderService", "CreateOrder", {
        "shipping_address": address_fields, "shipping_method": 1, "payment_method": "pm_card_visa",
    }, token)
    check(order.order_number.startswith("HPH-"), f"order {order.order_number} is placed")

    statuses = hub.method("hub.orders.v1.OrderService", "GetOrder").output_type \
        .fields_by_name["status"].enum_type.values_by_name
    processing = statuses["ORDER_STATUS_PROCESSING"].number
    reached = False
    for event in hub.call("hub.orders.v1.OrderService", "StreamOrderEvents",
                          {"order_id": order.order_id}, token, stream=True):
        print(f"    {event.event_type}: {event.message}")
        if event.status == processing:
            reached = True
            break
    check(reached, "the stream sees the order reach processing")

    error = refused(
        lambda: hub.call("hub.cart.v1.CartService", "AddCartItem",
                         {"product_id": product.product_id, "quantity": -5}, token),
        grpc.StatusCode.INVALID_ARGUMENT, "quantity -5")
    details = rpc_status.from_call(error).details
    bad_request = error_details_pb2.BadRequest()
    fields = [v.field for d in details if d.Unpack(bad_request) for v in bad_request.field_violations]
    check(fields == ["quantity"], "the error details name the field")

    refused(lambda: hub.call("hub.orders.v1.OrderService", "ListOrders", {}, token),
            grpc.StatusCode.PERMISSION_DENIED, "a customer lists everybody's orders")
    refused(lambda: hub.call("hub.orders.v1.OrderService", "ListOrders", {}, "forged.token.here"),
            grpc.StatusCode.UNAUTHENTICATED, "a forged token")
    stranger = hub.call("hub.identity.v1.AuthService", "CreateGuestSession").access_token
    refused(lambda: hub.call("hub.orders.v1.OrderService", "GetOrder",
                             {"order_id": order.order_id}, stranger),
            grpc.StatusCode.NOT_FOUND, "another's order")
    refused(lambda: hub.call("hub.inventory.v1.InventoryService", "Release",
                             {"order_id": order.order_id}, token),
            grpc.StatusCode.UNIMPLEMENTED, "an internal RPC from outside")


if __name__ == "__main__":
    main(sys.argv[1])
