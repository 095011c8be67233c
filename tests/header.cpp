// A C++ program must compile with the headers and link: one function of each is called.
#include <lapse.h>

int main()
{
    lapse_rfm_options options;
    lapse_churn_options churn;
    lapse_store *store = nullptr;
    lapse_policy *policy = nullptr;
    bool good = lapse_version_number() == LAPSE_VERSION_NUMBER && lapse_kind_find("order.placed") == LAPSE_KIND_ORDER_PLACED &&
                lapse_rfm_options_init(&options, sizeof options) == LAPSE_OK &&
                lapse_churn_options_init(&churn, sizeof churn) == LAPSE_OK &&
                lapse_policy_new(nullptr, &policy) == LAPSE_OK && lapse_store_open(nullptr, nullptr, &store, nullptr) == LAPSE_OK;
    lapse_view_close(nullptr);
    lapse_result_free(nullptr);
    lapse_policy_free(policy);
    lapse_store_close(store);
    return good ? 0 : 1;
}
