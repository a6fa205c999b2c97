"""What a shop is asked in the course of a day: every REST operation, in an order in which it can succeed.

The scenario knows nothing of who answers. `call(rpc, method, path, ...)` sends one request and returns the JSON.
"""

import uuid

ADDRESS = {
    "name": "Test Shopper", "line1": "12 Lantern Street", "city": "Denver", "state": "CO",
    "postal_code": "80202", "country": "US", "phone": "+1 303 555 0147",
}
PASSWORD = "quiet-larch-hollow-7"
DEMO_PASSWORD = "Holiday-Peak-2026!"


def identity(call):
    email = f"shopper-{uuid.uuid4()}@hub.test"
    person = {"name": "Robin Sledge", "email": email, "password": PASSWORD}
    session = call("AuthService.SignUp", "POST", "/api/auth/signup", person)
    call("AuthService.SignUp", "POST", "/api/auth/signup", person)
    call("AuthService.Login", "POST", "/api/auth/login", {"email": email, "password": "wrong-password-1"})
    session = call("AuthService.Login", "POST", "/api/auth/login", {"email": email, "password": PASSWORD})
    me = session["access_token"]
    call("AuthService.GetCaller", "GET", "/api/auth/me", token=me)
    call("AuthService.GetJwks", "GET", "/.well-known/jwks.json")
    call("AuthService.RefreshSession", "POST", "/api/auth/refresh", {"refresh_token": session["refresh_token"]})
    call("AuthService.VerifyEmail", "POST", "/api/auth/verify-email", {"token": "no-such-token"})
    call("AuthService.ResendVerification", "POST", "/api/auth/resend-verification", {"email": email})
    call("AuthService.ForgotPassword", "POST", "/api/auth/forgot-password", {"email": email})
    call("AuthService.ResetPassword", "POST", "/api/auth/reset-password", {"token": "no", "new_password": PASSWORD})
    call("UserService.GetMe", "GET", "/api/users/me", token=me)
    call("UserService.GetMe", "GET", "/api/users/me")
    call("UserService.UpdateMe", "PATCH", "/api/users/me", {"phone": "+1 303 555 0148"}, token=me)
    call("UserService.UpdateMe", "PUT", "/api/users/me", {"name": "Robin"}, token=me)
    created = call("UserService.CreateAddress", "POST", "/api/users/me/addresses", ADDRESS, token=me)
    call("UserService.CreateAddress", "POST", "/api/users/me/addresses", {**ADDRESS, "country": "Nowhere"}, token=me)
    path = f"/api/users/me/addresses/{created['address_id']}"
    call("UserService.UpdateAddress", "PUT", path, {**ADDRESS, "city": "Boulder"}, token=me)
    call("UserService.SetDefaultAddress", "PUT", f"{path}/default", {}, token=me)
    call("UserService.ListAddresses", "GET", "/api/users/me/addresses", token=me)
    call("UserService.DeleteAddress", "DELETE", path, token=me)
    call("MailboxService.ListMails", "GET", f"/dev/mailbox?to={email}")
    return me


def browsing(call):
    product = call("CatalogService.GetProduct", "GET", "/api/products/SLED-TOT")
    call("CatalogService.GetProduct", "GET", "/api/products/no-such-product")
    call("CatalogService.GetProduct", "GET", f"/api/products/{product['slug']}")
    for query in (
        "limit=3", "limit=2&page=2", "category=winter-sports&sort=price&order=asc&limit=4", "limit=1000", "limit=x",
        "nonsense=1", "sort=PRICE&limit=2", "sort=SORT_PRICE&limit=2", "filters=%7B%22in_stock%22%3Atrue%7D&limit=2",
    ):
        call("CatalogService.ListProducts", "GET", f"/api/products?{query}")
    call("CatalogService.ListFeaturedProducts", "GET", "/api/products/featured?limit=3")
    call("CatalogService.ListProductFilters", "GET", "/api/products/filters")
    call("CatalogService.SearchProducts", "GET", "/api/products/search?q=snwboard&limit=3")
    call("CatalogService.SearchProducts", "GET", "/api/products/search?q=caf%C3%A9%20%26%20tea&limit=3")
    call("CatalogSearchService.Suggest", "GET", "/api/products/suggest?q=sle&limit=3")
    call("CatalogSearchService.Suggest", "GET", "/catalog/suggest?q=sle&limit=3")
    call("CatalogSearchService.Suggest", "GET", "/api/agents/catalog-search/suggest?q=sle&limit=3")
    call("CatalogService.ListRelatedProducts", "GET", "/api/products/SLED-TOT/related?limit=3")
    call("InventoryService.GetProductInventory", "GET", f"/api/products/{product['product_id']}/inventory")
    call("CatalogService.ListCategories", "GET", "/api/categories?limit=5")
    call("CatalogService.GetCategory", "GET", f"/api/categories/{product['category_slug']}")
    return product


def agents(call, product, staff):
    lines = [{"product_id": product["product_id"], "variant_id": product["variants"][0]["variant_id"], "quantity": 2}]
    call("AgentService.ListAgents", "GET", "/api/agents")
    search = {"query": "warm gloves", "limit": 2, "with_facets": True}
    call("CatalogSearchService.Search", "POST", "/api/agents/catalog-search/search", search)
    call("CatalogSearchService.Search", "POST", "/catalog/search", {**search, "limit": 500})
    validate = {"lines": lines}
    for path in ("/api/agents/inventory-reservation-validation/validate", "/inventory/reservations/validate"):
        call("ReservationValidationService.ValidateReservation", "POST", path, validate)
    parcel = {"destination": ADDRESS, "weight_grams": 1200, "shipping_method": "express"}
    for path in ("/api/agents/logistics-carrier-selection/select", "/logistics/carrier/select"):
        call("CarrierSelectionService.SelectCarrier", "POST", path, parcel, token=staff)
    estimate = {"destination": ADDRESS, "shipping_method": "standard"}
    for path in ("/api/agents/logistics-eta-computation/eta", "/logistics/eta"):
        call("EtaService.ComputeEta", "POST", path, estimate)
    invoke = {"input": {"query": "sled", "limit": 1}}
    call("AgentService.Invoke", "POST", "/api/agents/ecommerce-catalog-search/invoke", invoke)
    call("AgentService.Invoke", "POST", "/api/agents/nobody/invoke", invoke)
    call("CheckoutService.ValidateAddress", "POST", "/api/addresses/validate", ADDRESS)


def buying(call, me, product, staff):
    item = {"product_id": product["product_id"], "variant_id": product["variants"][0]["variant_id"], "quantity": 2}
    call("CartService.GetCart", "GET", "/api/cart", token=me)
    cart = call("CartService.AddCartItem", "POST", "/api/cart/items", item, token=me)
    call("CartService.AddCartItem", "POST", "/api/cart/items", {**item, "quantity": -1}, token=me)
    call("CartService.AddCartItem", "POST", "/api/cart/items", {**item, "qty": 1}, token=me)
    path = f"/api/cart/items/{cart['items'][0]['cart_item_id']}"
    call("CartService.UpdateCartItem", "PUT", path, {"quantity": 3}, token=me)
    call("CartService.RemoveCartItem", "DELETE", path, token=me)
    call("CartService.AddCartItem", "POST", "/api/cart/items", item, token=me)
    call("CartService.ClearCart", "DELETE", "/api/cart", token=me)
    guest = call("AuthService.CreateGuestSession", "POST", "/api/auth/guest", {})
    call("CartService.AddCartItem", "POST", "/api/cart/items", item, token=guest["access_token"])
    call("CartService.MergeCart", "POST", "/api/cart/merge", {"guest_token": guest["access_token"]}, token=me)
    call("CheckoutService.ApplyPromo", "POST", "/api/checkout/promo", {"code": "NO-SUCH-CODE"}, token=me)
    checkout = {"shipping_address": ADDRESS, "shipping_method": "SHIPPING_METHOD_STANDARD"}
    call("CheckoutService.ValidateCheckout", "POST", "/api/checkout/validate", checkout, token=me)
    short = {**checkout, "shipping_method": "standard"}
    call("CheckoutService.ValidateCheckout", "POST", "/api/checkout/validate", short, token=me)
    order = {
        "shipping_address": ADDRESS, "shipping_method": "SHIPPING_METHOD_STANDARD", "payment_method": "pm_card_visa",
        "email": "shopper@hub.test",
    }
    call("OrderService.CreateOrder", "POST", "/api/orders", {**order, "shipping_method": "by-sled"}, token=me)
    placed = call("OrderService.CreateOrder", "POST", "/api/orders", order, token=me, key=str(uuid.uuid4()))
    path = f"/api/orders/{placed['order_id']}"
    call.until(path, me, lambda answer: answer.get("status", "").lower().endswith("processing"))
    call("OrderService.GetOrder", "GET", path, token=me)
    call("OrderService.GetOrder", "GET", path)
    call("OrderService.GetOrderTracking", "GET", f"{path}/tracking", token=me)
    call("OrderService.ListMyOrders", "GET", "/api/users/me/orders?limit=2", token=me)
    call("PaymentService.GetOrderPayment", "GET", f"{path}/payment", token=me)
    for agent in (f"/api/agents/ecommerce-order-status/orders/{placed['order_id']}",):
        call("OrderStatusService.GetOrderStatus", "GET", agent, token=me)
    call("OrderStatusService.GetOrderStatus", "POST", "/order/status", {"order_id": placed["order_id"]}, token=me)
    intent = {"order_id": placed["order_id"]}
    call("PaymentService.CreatePaymentIntent", "POST", "/api/payments/create-intent", intent, token=me)
    call("PaymentService.ConfirmPayment", "POST", "/api/payments/confirm", {"payment_intent_id": "pi_none"}, token=me)
    call("PaymentService.RefundPayment", "POST", "/api/payments/refund", {"payment_intent_id": "pi_none"}, token=staff)
    call("PaymentService.HandleWebhook", "POST", "/api/payments/webhook", {"type": "nothing"})
    method = call("PaymentMethodService.CreatePaymentMethod", "POST", "/api/users/me/payment-methods",
                  {"stripe_token": "tok_visa"}, token=me)
    call("PaymentMethodService.ListPaymentMethods", "GET", "/api/users/me/payment-methods", token=me)
    call("PaymentMethodService.DeletePaymentMethod", "DELETE",
         f"/api/users/me/payment-methods/{method.get('payment_method_id', 'none')}", token=me)
    call("OrderService.CancelOrder", "PATCH", f"{path}/cancel", {"reason": "changed my mind"}, token=me)
    call("OrderService.CancelOrder", "POST", f"{path}/cancel", {"reason": "changed my mind"}, token=me)
    return placed


def running_the_shop(call, placed, staff, admin, stamp):
    call("OrderService.ListOrders", "GET", "/api/staff/orders?limit=2&status=delivered", token=staff)
    call("OrderService.ListOrders", "GET", "/api/staff/orders?status=no-such-status", token=staff)
    call("InventoryService.ListReservations", "GET", f"/api/staff/orders/{placed['order_id']}/reservations", token=staff)
    call("InventoryService.ListStock", "GET", "/api/staff/inventory?limit=2", token=staff)
    category = {"slug": f"lanterns-{stamp}", "name": "Lanterns", "position": 90}
    call("CatalogManagementService.CreateCategory", "POST", "/api/staff/categories", category, token=staff)
    path = f"/api/staff/categories/{category['slug']}"
    call("CatalogManagementService.UpdateCategory", "PATCH", path, {"description": "Light"}, token=staff)
    call("CatalogManagementService.UpdateCategory", "PUT", path, {"name": "Lights"}, token=staff)
    product = {
        "sku": f"LAN-{stamp}", "name": "Brass Lantern", "category_slug": category["slug"],
        "price": {"amount": "49.00", "currency": "USD"},
    }
    created = call("CatalogManagementService.CreateProduct", "POST", "/api/staff/products", product, token=staff)
    path = f"/api/staff/products/{created.get('product_id', 'none')}"
    call("CatalogManagementService.UpdateProduct", "PATCH", path, {"brand": "Glow"}, token=staff)
    call("CatalogManagementService.UpdateProduct", "PUT", path, {"brand": "Glowing"}, token=staff)
    call("CatalogManagementService.PublishProduct", "POST", f"{path}/publish", {}, token=staff)
    call("CatalogManagementService.ArchiveProduct", "POST", f"{path}/archive", {}, token=staff)
    call("CatalogManagementService.ImportProducts", "POST", "/api/staff/products:import", {"rows": []}, token=staff)
    sled = call("CatalogService.GetProduct", "GET", "/api/products/SLED-TOT", token=staff)
    stock = f"/api/staff/inventory/{sled['variants'][0]['variant_id']}/locations/dc-east"
    call("InventoryService.SetStock", "PUT", stock, {"on_hand": 500, "reason": "count"}, token=staff)
    call("ShipmentService.ListCarriers", "GET", "/api/staff/carriers", token=staff)
    shipments = call("ShipmentService.ListShipments", "GET", "/api/staff/shipments?limit=2&status=SHIPMENT_STATUS_DELIVERED", token=staff)
    shipment = (shipments.get("items") or [{"shipment_id": "none"}])[0]["shipment_id"]
    call("ShipmentService.GetShipment", "GET", f"/api/staff/shipments/{shipment}", token=staff)
    call("ShipmentService.UpdateShipmentStatus", "PUT", f"/api/staff/shipments/{shipment}/status",
         {"new_status": "no-such-status"}, token=staff)
    call("ShipmentService.ListShipments", "GET", "/api/staff/shipments", token=None)
    call("AdminService.GetHealth", "GET", "/api/admin/health", token=admin)
    call("AdminService.GetHealth", "GET", "/api/admin/health", token=staff)
    call("AdminService.CreateBackup", "POST", "/api/admin/backups", {}, token=admin)
    call("AdminService.ListDeadLetters", "GET", "/api/admin/dead-letters?limit=2", token=admin)
    letter = "/api/admin/dead-letters/01a1fe6f-fd73-748f-896c-5fc2a383a876"
    call("AdminService.GetDeadLetter", "GET", letter, token=admin)
    call("AdminService.ReplayDeadLetter", "POST", f"{letter}/replay", {}, token=admin)
    call("AdminService.DiscardDeadLetter", "POST", f"{letter}/discard", {"reason": "test"}, token=admin)
    saga = f"/api/admin/sagas/{placed['order_id']}"
    call("SagaService.ListSagas", "GET", "/api/admin/sagas?limit=1&step=completed", token=admin)
    call("SagaService.GetSaga", "GET", saga, token=admin)
    call("SagaService.RetrySaga", "POST", f"{saga}/retry", {"reason": "test"}, token=admin)
    call("SagaService.CompensateSaga", "POST", f"{saga}/compensate", {"reason": "test"}, token=admin)


def leaving(call, me):
    call("AuthService.Logout", "POST", "/api/auth/logout", {}, token=me)
    call("UserService.GetMe", "GET", "/api/users/me", token=me)


def run(call):
    def login(who):
        credentials = {"email": f"{who}@hub.test", "password": DEMO_PASSWORD}
        return call("AuthService.Login", "POST", "/api/auth/login", credentials)["access_token"]

    staff, admin = login("staff"), login("admin")
    me = identity(call)
    product = browsing(call)
    agents(call, product, staff)
    placed = buying(call, me, product, staff)
    running_the_shop(call, placed, staff, admin, uuid.uuid4().hex[:8])
    call("UserService.DeleteMe", "DELETE", "/api/users/me", token=identity(call))
    leaving(call, me)
