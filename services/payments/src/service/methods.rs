//! `PaymentMethodService`: saved payment methods of a user.

use std::sync::Arc;

use contracts::hub::{
    payments::v1::{
        CreatePaymentMethodRequest, DeletePaymentMethodRequest, ListPaymentMethodsRequest,
        ListPaymentMethodsResponse, PaymentMethod,
        payment_method_service_server::PaymentMethodService,
    },
    r#type::v1::Address,
};
use mesh::{
    CallContext, Clock, Failure, Ids, Reason, args,
    store::{Row, Store, StoreError, Tx},
};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::{to_the_end, wire::timestamp};
use crate::{
    domain::method::Token,
    flow::declined,
    provider::{KeptMethod, Provider, ProviderError},
};

/// Methods that a user may save.
const MOST_METHODS: i64 = 20;
const CARD: &str = "card";
const COLUMNS: &str = "payment_method_id, type, brand, last4, exp_month, exp_year, is_default, \
    billing_address, created_at";

/// Handles `PaymentMethodService`.
#[derive(Clone)]
pub struct MethodsHandler {
    /// Where methods are kept.
    pub store: Store,
    /// Who knows the cards.
    pub provider: Arc<dyn Provider>,
    /// The time.
    pub clock: Clock,
    /// Source of ids.
    pub ids: Ids,
}

/// A method to be saved.
#[derive(Clone)]
struct NewMethod {
    user_id: String,
    kept: KeptMethod,
    billing: Option<serde_json::Value>,
    wants_default: bool,
}

#[tonic::async_trait]
impl PaymentMethodService for MethodsHandler {
    async fn list_payment_methods(
        &self,
        request: Request<ListPaymentMethodsRequest>,
    ) -> Result<Response<ListPaymentMethodsResponse>, Status> {
        let context = CallContext::of(&request);
        let sql = format!(
            "SELECT {COLUMNS} FROM payment_methods WHERE user_id = $1 \
             ORDER BY is_default DESC, payment_method_id DESC LIMIT $2"
        );
        let subject = context.principal().subject();
        let rows = self.store.all(&sql, args![subject, MOST_METHODS]).await?;
        let items = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Response::new(ListPaymentMethodsResponse { items }))
    }

    async fn create_payment_method(
        &self,
        request: Request<CreatePaymentMethodRequest>,
    ) -> Result<Response<PaymentMethod>, Status> {
        let user_id = CallContext::of(&request).principal().subject().to_owned();
        let handler = self.clone();
        let request = request.into_inner();
        let method = to_the_end(async move { handler.create(user_id, request).await }).await?;
        Ok(Response::new(method))
    }

    async fn delete_payment_method(
        &self,
        request: Request<DeletePaymentMethodRequest>,
    ) -> Result<Response<()>, Status> {
        let user_id = CallContext::of(&request).principal().subject().to_owned();
        let id = request.into_inner().payment_method_id;
        let token = self.delete(user_id, id.clone()).await?;
        let Some(token) = token else {
            return Err(Failure::not_found("payment method", id).into());
        };
        if let Ok(token) = Token::parse(&token)
            && let Err(error) = self.provider.forget_method(&token).await
        {
            // For us it is forgotten, and nobody can charge it any more.
            tracing::warn!(payment_method_id = id, %error, "the payment provider still keeps a method");
        }
        Ok(Response::new(()))
    }
}

impl MethodsHandler {
    async fn create(
        &self,
        user_id: String,
        request: CreatePaymentMethodRequest,
    ) -> Result<PaymentMethod, Failure> {
        let token = Token::parse(&request.stripe_token)
            .map_err(|error| Failure::invalid("stripe_token", error.to_string()))?;
        let row = self
            .store
            .one(
                "SELECT count(*) AS n, max(provider_customer) AS customer FROM payment_methods \
                 WHERE user_id = $1",
                args![&user_id],
            )
            .await?;
        let (count, customer) = match row {
            Some(row) => (row.get::<i64>("n")?, row.get::<Option<String>>("customer")?),
            None => (0, None),
        };
        if count >= MOST_METHODS {
            return Err(too_many());
        }
        let customer = customer.filter(|customer| !customer.is_empty());
        let kept = self
            .provider
            .keep_method(&user_id, customer.as_deref(), &token)
            .await
            .map_err(refusal)?;
        let new = NewMethod {
            user_id,
            kept,
            billing: request.billing_address.as_ref().map(address_to_json),
            wants_default: request.is_default,
        };
        let (id, now) = (self.ids.uuid(), self.clock.now());
        self.store
            .write(move |tx: Tx| async move { save(&tx, new, id, now).await })
            .await
    }

    /// Forgets a method of the user; the newest of the others becomes the default if this one was. Gives
    /// the provider's token, `None` when there was no such method.
    async fn delete(&self, user_id: String, id: String) -> Result<Option<String>, StoreError> {
        let now = self.clock.now();
        self.store
            .write(move |tx: Tx| async move {
                let row = tx
                    .one(
                        "DELETE FROM payment_methods WHERE payment_method_id = $1 AND user_id = $2 \
                         RETURNING provider_token, is_default",
                        args![id, &user_id],
                    )
                    .await?;
                let Some(row) = row else { return Ok(None) };
                if row.get("is_default")? {
                    tx.execute(
                        "UPDATE payment_methods SET is_default = TRUE, version = version + 1, \
                         updated_at = $2 WHERE payment_method_id = (SELECT payment_method_id \
                         FROM payment_methods WHERE user_id = $1 \
                         ORDER BY payment_method_id DESC LIMIT 1)",
                        args![&user_id, now],
                    )
                    .await?;
                }
                Ok::<_, StoreError>(Some(row.get("provider_token")?))
            })
            .await
    }
}

/// Writes a method. A user's first one is their default; a new default takes the place of the old.
async fn save(
    tx: &Tx,
    new: NewMethod,
    id: uuid::Uuid,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<PaymentMethod, Failure> {
    let count = tx
        .one(
            "SELECT count(*) AS n FROM payment_methods WHERE user_id = $1",
            args![&new.user_id],
        )
        .await?
        .map_or(Ok(0), |row| row.get::<i64>("n"))?;
    if count >= MOST_METHODS {
        return Err(too_many());
    }
    let is_default = new.wants_default || count == 0;
    if is_default {
        tx.execute(
            "UPDATE payment_methods SET is_default = FALSE, version = version + 1, updated_at = $2 \
             WHERE user_id = $1 AND is_default = TRUE",
            args![&new.user_id, now],
        )
        .await?;
    }
    let sql = format!(
        "INSERT INTO payment_methods (payment_method_id, user_id, provider_token, provider_customer, \
         type, brand, last4, exp_month, exp_year, is_default, billing_address, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12) RETURNING {COLUMNS}"
    );
    let row = tx
        .one(
            &sql,
            args![
                id,
                &new.user_id,
                new.kept.token.as_str(),
                &new.kept.customer,
                CARD,
                &new.kept.card.brand,
                &new.kept.card.last4,
                new.kept.exp_month,
                new.kept.exp_year,
                is_default,
                new.billing,
                now,
            ],
        )
        .await?
        .ok_or_else(|| Failure::internal("an insert returned no row"))?;
    Ok(read(&row)?)
}

fn too_many() -> Failure {
    Failure::conflict(
        Reason::Conflict,
        format!("at most {MOST_METHODS} payment methods can be saved: delete one first"),
    )
}

fn refusal(error: ProviderError) -> Failure {
    match error {
        ProviderError::Declined(decline) => declined(&decline),
        ProviderError::InvalidMethod => Failure::invalid(
            "stripe_token",
            "is not a token that the payment provider knows",
        ),
        error => Failure::unavailable("the payment provider is not available, try again")
            .caused_by(error),
    }
}

fn read(row: &Row) -> Result<PaymentMethod, StoreError> {
    Ok(PaymentMethod {
        payment_method_id: row.get("payment_method_id")?,
        r#type: row.get("type")?,
        brand: row.get("brand")?,
        last4: row.get("last4")?,
        exp_month: row.get("exp_month")?,
        exp_year: row.get("exp_year")?,
        is_default: row.get("is_default")?,
        created_at: Some(timestamp(row.get("created_at")?)),
        billing_address: row
            .get::<Option<serde_json::Value>>("billing_address")?
            .map(|json| address_from_json(&json)),
    })
}

fn address_to_json(address: &Address) -> serde_json::Value {
    json!({
        "name": address.name, "line1": address.line1, "line2": address.line2, "city": address.city,
        "state": address.state, "postal_code": address.postal_code, "country": address.country,
        "phone": address.phone,
    })
}

fn address_from_json(json: &serde_json::Value) -> Address {
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    Address {
        name: text("name"),
        line1: text("line1"),
        line2: text("line2"),
        city: text("city"),
        state: text("state"),
        postal_code: text("postal_code"),
        country: text("country"),
        phone: text("phone"),
    }
}

#[cfg(test)]
mod tests;
