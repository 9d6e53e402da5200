// Objects on the heap without operator new: no C++ runtime, and no memory is an ordinary result.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <new>
#include <stdlib.h>
#include <utility>

namespace prefork::base {

// Returns nullptr if there is no memory.
template <typename Object, typename... Arguments>
[[nodiscard]] Object *make(Arguments &&...arguments) {
    void *memory = malloc(sizeof(Object));
    if (memory == nullptr) {
        return nullptr;
    }
    return new (memory) Object(std::forward<Arguments>(arguments)...);
}

template <typename Object>
void destroy(Object *object) {
    if (object != nullptr) {
        object->~Object();
        free(object);
    }
}

} // namespace prefork::base
